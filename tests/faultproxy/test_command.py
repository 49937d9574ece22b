"""`harness proxy serve` in place of toxiproxy-server."""

import json
import signal
import subprocess
import sys

import pytest

from tests.faultproxy.conftest import HANG_S, Api

pytestmark = pytest.mark.embedded
COMMAND = [sys.executable, "-c", "import sys; from harness.cli.main import main; sys.exit(main())", "proxy", "serve"]


def test_it_takes_toxiproxys_options_and_ends_with_zero(tmp_path):
    config = tmp_path / "proxies.json"
    config.write_text('[{"name": "a", "listen": "127.0.0.1:0", "upstream": "localhost:1"}]')
    options = ["-host", "localhost", "-port=0", "-config", str(config), "-seed", "7", "-proxy-metrics"]
    command = [*COMMAND, *options, "-runtime-metrics=false"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        ready = json.loads(process.stdout.readline())
        assert ready["message"] == "Starting Toxiproxy HTTP server"
        assert list(Api(ready["api"]).get("/proxies").json) == ["a"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(HANG_S) == 0


@pytest.mark.parametrize(
    ("arguments", "exit_code", "output"),
    [
        (["-version"], 0, "API of Toxiproxy 2."),
        (["--help"], 0, "usage: harness proxy serve"),
        (["-proxy-metrics=maybe"], 4, "must be true or false"),
        (["-prot", "1"], 4, "unrecognized arguments"),
    ],
)
def test_other_ways_out(arguments, exit_code, output):
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.returncode, output in done.stdout + done.stderr) == (exit_code, True)


def test_a_taken_port_is_told(api):
    command = [*COMMAND, "-port", api.address.rpartition(":")[2]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.returncode, "is another proxy running there?" in done.stderr) == (3, True)
