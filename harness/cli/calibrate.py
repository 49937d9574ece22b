"""`harness calibrate`: what this machine does by itself, so that harm can be told from it."""

from pathlib import Path

import click

from harness.cli.exit_codes import EPILOG
from harness.cli.runs import find_run
from harness.model.errors import UsageError
from harness.model.files.design import Interleaved
from harness.model.run.calibration import Calibration
from harness.runner.machine import keep
from harness.runner.planning import make_plan
from harness.workflows.calibrate import calibrate, run_without_fault

_SEED = 1


@click.command("calibrate", epilog=EPILOG)
@click.argument("scenario", required=False)
@click.option("--runs", "count", type=click.IntRange(1, 50), default=3, show_default=True, help="Runs without a fault.")
@click.option("--quick", is_flag=True, help="The short phases.")
@click.option("--from", "stored", multiple=True, metavar="RUN", help="Use a stored recording; may be repeated.")
@click.option("--window", type=float, help="Seconds of a window; else as the scenario has it, or 4.")
@click.option(
    "--recordings",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Their folder.",
)
def calibrate_machine(
    scenario: str | None, count: int, quick: bool, stored: tuple[str, ...], window: float | None, recordings: Path
) -> None:
    """Measure how far windows without a fault differ here: by runs of SCENARIO without its faults, or stored ones.

    `plan` and the check `unharmed` use the figures from then on; each run records those that it is judged with.
    """
    if not scenario and not stored:
        msg = "nothing to calibrate by: name a scenario, or recordings with --from RUN"
        raise UsageError(msg)
    design, found = Interleaved(), [find_run(name, recordings) for name in stored]
    if scenario:
        plan = make_plan(scenario, target=None, seed=_SEED, quick=quick, without=())
        design = plan.scenario.design.interleaved or design
        for number in range(count):
            click.echo(f"run {number + 1} of {count} without a fault: {plan.phases.total_s:g}s of load", err=True)
            found.append(run_without_fault(plan, recordings, number))
    if window is not None:
        settle = min(design.settle, window / 4)
        design = design.model_copy(update={"window": window, "settle": settle})
    calibration = calibrate(found, design, seed=_SEED)
    path = keep(calibration)
    click.echo(_told(calibration))
    click.echo(f"kept in {path}")


def _told(calibration: Calibration) -> str:
    lines = [f"{calibration.machine}; target {calibration.target}; windows of {calibration.window_s:g}s"]
    for key, figures in calibration.figures.items():
        lines.append(f"{key:<34} scatter {figures.scatter:.3f}  reference {figures.weight:.2f}  {figures.pairs} pairs")
    share = calibration.false_alarms or 0.0
    lines.append(f"false alarms {share:.1%} of {calibration.runs} resampled runs of {calibration.pairs} pairs")
    return "\n".join(lines)
