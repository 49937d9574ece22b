"""`python -m harness.faultproxy` serves the proxy until SIGTERM."""

import sys

from harness.faultproxy.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
