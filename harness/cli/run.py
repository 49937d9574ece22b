"""`harness run`: one scenario from nothing to a verdict and a report."""

import asyncio
import sys
from pathlib import Path

import click
from rich.console import Console

from harness.cli.conclude import tell
from harness.cli.errors import show_error
from harness.cli.exit_codes import EPILOG
from harness.cli.progress import Progress
from harness.drivers.standing.stack import StandingStack
from harness.model.run.plan import Plan
from harness.runner.interruption import interruptible
from harness.runner.planning import make_plan
from harness.workflows.standing import stack_for
from harness.workflows.trial import Trial, run_and_judge


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
@click.option("--on", metavar="STACK", help="Use a stack that `harness up` holds: its name, or its folder.")
@click.option("--share", is_flag=True, help="Let other users of this machine read the recording.")
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
    on: str | None,
    share: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run a SCENARIO (a name from `harness list`, or a path): stack, load, fault, verdict, report.

    Nothing outside this machine is touched; everything that is started or broken is undone, also after Ctrl-C.
    """
    made = make_plan(scenario, target=target, seed=seed, quick=quick, without=without)
    stack = stack_for(made, on)
    console = Console(stderr=True, quiet=quiet)
    with Progress(made, console) as progress:
        trial = asyncio.run(_under_signals(made, runs, progress, stack, share=share))
    if trial.error:
        show_error(trial.error)
    tell(trial.judged, as_json=as_json)
    context.exit(trial.exit_code)


async def _under_signals(plan: Plan, runs: Path, progress: Progress, on: StandingStack | None, *, share: bool) -> Trial:
    """Run, with SIGINT, SIGTERM and SIGHUP ending the run after its rollback."""
    with interruptible() as interruption:
        return await run_and_judge(
            plan,
            runs=runs,
            command=sys.argv,
            listeners=[progress.hear],
            on_progress=progress.show_load,
            interruption=interruption,
            on=on,
            share=share,
        )
