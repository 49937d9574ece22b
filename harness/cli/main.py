"""The command `harness`: its commands and its one error handler."""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from harness.cli.errors import show_error
from harness.cli.exit_codes import EPILOG
from harness.model.errors import ExitCode, HarnessError

_COMMANDS: Mapping[str, str] = {
    "run": "harness.cli.run:run",
    "prove": "harness.cli.prove:prove",
    "list": "harness.cli.inspect:list_scenarios",
    "plan": "harness.cli.inspect:plan",
    "faults": "harness.cli.faults:list_faults",
    "up": "harness.cli.stack:up",
    "down": "harness.cli.stack:down",
    "abort": "harness.cli.abort:abort_runs",
    "check": "harness.cli.inspect:check",
    "report": "harness.cli.inspect:report",
    "recover": "harness.cli.stack:recover",
    "doctor": "harness.cli.stack:doctor",
    "proxy": "harness.cli.proxy:proxy",
    "schema": "harness.cli.inspect:schema",
}
"""Where each command is. It is imported when it is called: `abort` must not wait for what `report` needs."""


_READ_FAULTS = ("run", "list", "plan", "faults", "check", "report", "schema")
"""Commands that read scenarios or recordings, where a fault may be of a kind that a plugin adds."""


class Commands(click.Group):
    """The commands, in the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return their names."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


@click.group(
    cls=Commands,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="tenant-resilience-harness", prog_name="harness")
@click.pass_context
def cli(context: click.Context) -> None:
    """Prove that a multi-tenant system contains its failures.

    \b
    Start here:
      harness list                          what can be run, and what each scenario claims
      harness run payment-provider-hang     start the sample stack, break it, get a verdict and a report
      harness run NAME --without PROTECTION show that the protection is needed
    """
    if context.invoked_subcommand in _READ_FAULTS:
        import_module("harness.faults.plugins").load_plugins()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit code. Every known error is one message with its next step."""
    stdout = sys.stdout
    try:
        code = cli.main(args=None if argv is None else list(argv), prog_name="harness", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except HarnessError as error:
        show_error(error)
        return error.exit_code
    except BrokenPipeError:
        return _reader_left()
    except SystemExit:
        if sys.stdout is not stdout:  # click replaces it when its reader left, and exits with 1
            return _reader_left()
        raise
    return int(code or 0)


def _reader_left() -> int:
    """Whoever read our output has enough, as in `harness list | head`; nothing more can be written, nor flushed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return ExitCode.HELD
