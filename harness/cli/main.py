"""The command `harness`: its commands and its one error handler."""

from collections.abc import Mapping, Sequence
from importlib import import_module

import click

from harness.cli.errors import show_error
from harness.cli.exit_codes import EPILOG
from harness.cli.streams import flush_output, forgiving_streams
from harness.model.errors import ExitCode, HarnessError
from harness.recording.traceback_file import unforeseen

_COMMANDS: Mapping[str, str] = {
    "run": "harness.cli.run:run",
    "prove": "harness.cli.prove:prove",
    "calibrate": "harness.cli.calibrate:calibrate_machine",
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


_READ_FAULTS = ("run", "calibrate", "list", "plan", "faults", "check", "report", "schema")
"""Commands that read scenarios or recordings, where a fault or a check may be of a kind that a plugin adds."""


class Commands(click.Group):
    """The commands, in the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return their names."""
        return list(_COMMANDS)

    def invoke(self, ctx: click.Context) -> object:
        """Call the command; what it did not foresee is told apart from what click itself means by an exception.

        Click takes any broken pipe for a reader who left, and any end of a stream for Ctrl-C.
        """
        try:
            return super().invoke(ctx)
        except (HarnessError, click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:  # noqa: BLE001  it is told with its traceback in a file
            raise unforeseen(error, folder=None, doing=f"`harness {ctx.invoked_subcommand}`") from None

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
        import_module("harness.checks.plugins").load_plugins()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; return its exit code. Every error is one message with its next step, never a traceback.

    A reader who leaves (`harness list | head -1`) changes nothing about the code.
    """
    with forgiving_streams():
        try:
            code = _exit_code(argv)
        except HarnessError as error:
            show_error(error)
            code = error.exit_code
        if problem := flush_output():
            show_error(HarnessError(f"the output cannot be written: {problem}"))
            code = max(code, ExitCode.COULD_NOT_RUN)
        return code


def _exit_code(argv: Sequence[str] | None) -> int:
    try:
        code = cli.main(args=None if argv is None else list(argv), prog_name="harness", standalone_mode=False)
        return int(code or 0)
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except (click.Abort, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    except HarnessError:
        raise
    except Exception as error:  # noqa: BLE001  exit code 1 would mean that a check failed
        raise unforeseen(error, folder=None) from None
