"""`harness abort`: the emergency stop. It imports little: it must be done within two seconds."""

import time
from pathlib import Path

import click
import psutil

from harness.cli.exit_codes import EPILOG
from harness.faults.safety.abort import PATIENCE_S, Aborted, abort, abortable
from harness.faults.safety.registry import unreadable
from harness.model.errors import ExitCode, UsageError

_LEAST_PATIENCE_S = 0.3


@click.command("abort", epilog=EPILOG)
@click.argument("run", required=False)
@click.option("--keep-running", is_flag=True, help="Lift the faults only; no further one is placed, the run goes on.")
@click.pass_context
def abort_runs(context: click.Context, run: str | None, keep_running: bool) -> None:
    """End all faults of live runs now, and the runs, from any terminal; or only of RUN (an id, a part of it, a folder).

    It does not need the harness for that, which may hang: faults are undone from here, and looked for afterwards.
    """
    runs = abortable(run)
    if not runs and run is not None and not Path(run).exists() and not Path("runs", run).exists():
        msg = f"no live run is called {run!r}"
        raise UsageError(msg, hint="without a name it ends all of them")
    age_s = time.time() - psutil.Process().create_time()  # on a busy machine it took us long to get here
    patience_s = max(_LEAST_PATIENCE_S, PATIENCE_S - age_s)
    aborted = abort(runs, keep_running=keep_running, patience_s=patience_s)
    for one in aborted:
        _tell(one)
    unknown = [*unreadable()]
    for problem in unknown:
        click.echo(f"NOT undone: {problem}")
    if not aborted and not unknown:
        click.echo("nothing is live, and no fault is left")
    is_clean = all(one.is_clean for one in aborted) and not unknown
    context.exit(ExitCode.HELD if is_clean else ExitCode.NOT_ROLLED_BACK)


def _tell(one: Aborted) -> None:
    for fault in one.gone:
        click.echo(f"{one.run_id}: gone: {fault}")
    for cause in one.left:
        click.echo(f"{one.run_id}: NOT undone: {cause}")
    if not one.gone and not one.left:
        click.echo(f"{one.run_id}: no fault is in place")
    click.echo(f"{one.run_id}: {one.ending.value}")
