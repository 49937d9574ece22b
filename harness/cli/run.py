"""`harness run`: one scenario from nothing to a verdict and a report."""

import asyncio
import sys
from pathlib import Path

import click
from rich.console import Console

from harness.cli.conclude import conclude
from harness.cli.errors import show_error
from harness.cli.exit_codes import EPILOG
from harness.cli.progress import Progress
from harness.model.errors import ExitCode
from harness.runner.engine import Ran, run_plan
from harness.runner.planning import make_plan


@click.command(epilog=EPILOG)
@click.argument("scenario")
@click.option(
    "--target", type=click.Path(path_type=Path), help="Target file; else the scenario's own, or the sample stack."
)
@click.option("--seed", type=int, help="Repeat a run: the same arrivals and the same faults.")
@click.option("--quick", is_flag=True, help="Short phases: a first answer in half a minute, with fewer samples.")
@click.option(
    "--without",
    multiple=True,
    metavar="PROTECTION",
    help="Switch a declared protection off; the claim should then break. May be repeated.",
)
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder for the recording."
)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON on stdout (progress stays on stderr).")
@click.option("--quiet", "-q", is_flag=True, help="No progress.")
@click.pass_context
def run(
    context: click.Context,
    scenario: str,
    target: Path | None,
    seed: int | None,
    quick: bool,
    without: tuple[str, ...],
    runs: Path,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a SCENARIO (a name from `harness list`, or a path): stack, load, fault, verdict, report.

    Nothing outside this machine is touched; everything that is started or broken is undone, also after Ctrl-C.
    """
    made = make_plan(scenario, target=target, seed=seed, quick=quick, without=without)
    console = Console(stderr=True, quiet=quiet)
    with Progress(made, console) as progress:
        ran = asyncio.run(
            run_plan(made, runs=runs, command=sys.argv, listeners=[progress.hear], on_progress=progress.show_load)
        )
    if ran.error:
        show_error(ran.error)
    judged = conclude(ran.path, as_json=as_json)
    context.exit(_exit_code(ran, judged))


def _exit_code(ran: Ran, judged: ExitCode) -> ExitCode:
    """A run that failed says so even where it could not be recorded; an unconfirmed rollback outweighs all."""
    if ran.error is None or judged is ExitCode.NOT_ROLLED_BACK:
        return judged
    return ran.error.exit_code
