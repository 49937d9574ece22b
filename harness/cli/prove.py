"""`harness prove`: switch one protection off at a time; the claim must then break."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from harness.cli.exit_codes import EPILOG
from harness.model.errors import RollbackError, UsageError
from harness.model.files.scenario import load_scenario, read_scenario_head
from harness.model.result.finding import Verdict
from harness.model.run.clock import SteadyClock
from harness.model.run.plan import run_id
from harness.report.words import seconds
from harness.runner.library import all_scenarios, find_scenario
from harness.runner.planning import load_runnable_target, make_plan, target_path
from harness.workflows.prove.cases import Case, Suite
from harness.workflows.prove.drawn import html, markdown
from harness.workflows.prove.lock import only_one
from harness.workflows.prove.matrix import Matrix, matrix_of
from harness.workflows.prove.run import Began, run_cases, seconds_by_scenario
from harness.workflows.prove.store import Store
from harness.workflows.trial import run_trial


@click.command(epilog=EPILOG)
@click.argument("scenarios", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every scenario of `harness list`.")
@click.option("--seed", type=int, default=1, show_default=True, help="The same for every run.")
@click.option("--quick", is_flag=True, help="Short phases.")
@click.option(
    "--target", type=click.Path(path_type=Path), help="Target file; else the scenario's own, or the sample stack."
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder for recordings.",
)
@click.option(
    "--resume",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Go on with a proof's folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the matrix as JSON.")
@click.pass_context
def prove(
    context: click.Context,
    scenarios: tuple[str, ...],
    everything: bool,
    seed: int,
    quick: bool,
    target: Path | None,
    runs: Path,
    resume: Path | None,
    as_json: bool,
) -> None:
    """Run each of SCENARIOS intact, and once without each protection that it names under `proves:`.

    A protection that nothing misses is unproven. What was decided is kept: an interrupted proof goes on with --resume.
    Exit code 0: every intact claim held and every removal broke it on the named check.
    """
    suite = _suite(scenarios, everything=everything, target=target)
    store = Store(resume or runs / run_id("proof", SteadyClock().now_ns()))
    console = Console(stderr=True, highlight=False)
    with only_one(console):
        for step in run_cases(suite, store, partial(_run, target=target, seed=seed, quick=quick, store=store)):
            if isinstance(step, Began):
                without = f" without {', '.join(step.case.without)}" if step.case.without else ""
                console.print(f"{step.number}/{step.of}  {step.case.scenario}{without} …")
            else:
                console.print(f"      {step.meaning.value} ({step.outcome.seconds:.0f} s)")
    matrix = matrix_of(suite, store.outcomes())
    _show(matrix, store, as_json=as_json)
    context.exit(matrix.exit_code)


def _suite(names: Sequence[str], *, everything: bool, target: Path | None) -> Suite:
    if bool(names) == everything:
        msg = "name the scenarios to prove, or use --all" if not names else "either name scenarios or use --all"
        raise UsageError(msg, hint="`harness list` shows what there is")
    paths = list(all_scenarios()) if everything else [find_scenario(name) for name in names]
    files = {target_path(path, read_scenario_head(path), target).resolve() for path in paths}
    if len(files) > 1:
        msg = f"these scenarios have {len(files)} targets; a proof has one"
        raise UsageError(msg, hint="prove the scenarios of one target at a time")
    resolved = load_runnable_target(files.pop())
    return Suite(resolved, tuple((path, load_scenario(path, resolved)) for path in paths))


def _run(case: Case, *, target: Path | None, seed: int, quick: bool, store: Store) -> tuple[str, Verdict]:
    plan = make_plan(str(case.path), target=target, seed=seed, quick=quick, without=case.without)
    trial = run_trial(plan, runs=store.folder)
    if not trial.verdict.rollback_confirmed:
        msg = f"{case.id}: the rollback could not be confirmed"
        raise RollbackError(msg, hint="`harness recover`, then go on with --resume")
    return trial.run.name, trial.verdict


def _show(matrix: Matrix, store: Store, *, as_json: bool) -> None:
    store.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (store.folder / "proof.html").write_text(html(matrix), encoding="utf-8")
    (store.folder / "proof.md").write_text(markdown(matrix) + "\n", encoding="utf-8")
    if as_json:
        click.echo(json.dumps(_as_json(matrix), indent=1, ensure_ascii=False))
        return
    click.echo(markdown(matrix))
    took = ", ".join(f"{name} {seconds(s)}" for name, s in list(seconds_by_scenario(store.outcomes()).items())[:5])
    click.echo(f"longest: {took}\nreport: {store.folder / 'proof.html'}")


def _as_json(matrix: Matrix) -> dict[str, object]:
    rows = [
        {
            "scenario": row.case.scenario,
            "without": list(row.case.without),
            "must_fail": row.case.must_fail,
            "shown": row.word,
            "told": row.told,
            "seconds": row.seconds,
        }
        for row in matrix.rows
    ]
    return {
        "format": 1,
        "exit_code": int(matrix.exit_code),
        "rows": rows,
        "protections": asdict(matrix.protections),
        "mutants": asdict(matrix.mutants),
        "unnamed": list(matrix.unnamed),
        "idle_checks": list(matrix.idle_checks),
    }
