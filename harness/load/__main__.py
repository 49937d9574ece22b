"""`python -m harness.load JOB.json`: the load process. Talks on stdout (see `channel`), logs on stderr."""

import locust  # noqa: F401 - first of all: it patches the interpreter, which must precede every other import

import sys  # isort: skip

from harness.load.generator import main  # isort: skip

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
