"""The exit codes as `--help` prints them."""

from harness.model.errors import EXIT_CODE_MEANINGS

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:>3}  {meaning}" for code, meaning in EXIT_CODE_MEANINGS.items())
