"""Commands that look: list, plan, check, report, schema."""

import json
from pathlib import Path

import click

from harness.checks.detectable import pairs_in_words
from harness.checks.expectation import in_words
from harness.cli.conclude import conclude, tell_of_unknown_keys
from harness.cli.errors import show_note
from harness.cli.exit_codes import EPILOG
from harness.cli.runs import find_run
from harness.model.base import Spec
from harness.model.errors import ExitCode, UsageError
from harness.model.files.faults import Fault
from harness.model.files.old_names import deprecations
from harness.model.files.scenario import Phase, Scenario, read_scenario_head
from harness.model.files.schema import json_schema
from harness.model.files.source import read_yaml
from harness.model.files.target import Target
from harness.model.files.units import format_duration
from harness.model.run.plan import Plan
from harness.report.lanes import fault_text
from harness.runner.library import all_scenarios, find_scenario
from harness.runner.planning import make_plan
from harness.workflows.judgement import judge_and_draw


@click.command("list")
@click.option("--tag", help="Only scenarios that carry this tag.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def list_scenarios(tag: str | None, as_json: bool) -> None:
    """Show the scenarios and what each one claims."""
    found = [(path, read_scenario_head(path)) for path in all_scenarios()]
    chosen = [(path, scenario) for path, scenario in found if tag is None or tag in scenario.tags]
    if not chosen:
        known = sorted({t for _, scenario in found for t in scenario.tags})
        msg = f"no scenario carries the tag {tag!r}"
        raise UsageError(msg, hint=f"tags: {', '.join(known)}")
    if as_json:
        rows = [{"name": p.stem, "path": str(p), "claim": s.claim.strip(), "tags": s.tags} for p, s in chosen]
        click.echo(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    for path, scenario in chosen:
        click.echo(click.style(path.stem, bold=True) + f"  [{', '.join(scenario.tags)}]")
        click.echo(click.wrap_text(" ".join(scenario.claim.split()), 100, "    ", "    "))


@click.command()
@click.argument("scenario")
@click.option(
    "--target", type=click.Path(path_type=Path), help="Target file; else the scenario's own, or the sample stack."
)
@click.option("--seed", type=int, help="Seed of the arrivals and of the faults.")
@click.option("--quick", is_flag=True, help="The short phases.")
@click.option("--without", multiple=True, metavar="PROTECTION", help="Switch a protection off.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole resolved plan as JSON.")
def plan(
    scenario: str, target: Path | None, seed: int | None, quick: bool, without: tuple[str, ...], as_json: bool
) -> None:
    """Check a SCENARIO and show what a run of it would do; nothing is started."""
    made = make_plan(scenario, target=target, seed=seed, quick=quick, without=without)
    click.echo(made.model_dump_json(indent=1) if as_json else _describe(made))
    for note in deprecations(read_yaml(find_scenario(scenario))):
        click.echo(f"note: {note}", err=True)


def _describe(plan: Plan) -> str:
    scenario = plan.scenario
    phases = "  ".join(f"{p.value} {format_duration(plan.phases.seconds(p))}" for p in Phase)
    lines = [
        f"{plan.name}: {' '.join(scenario.claim.split())}",
        f"target    {plan.target.name} ({len(plan.target.services)} services, {len(plan.target.links)} links)",
        f"phases    {phases}  ({format_duration(plan.phases.total_s)} in all)",
        *(f"load      {tenant:<10} {_rates(flows)}" for tenant, flows in scenario.load.items()),
        *(f"fault     {fault.place}: {fault_text(fault)}{_times(plan, fault)}" for fault in scenario.faults),
        *(f"may hurt  {tenant:<10} {', '.join(flows)}" for tenant, flows in scenario.blast_radius.items()),
        *(f"check     {entry.id}" for entry in scenario.checks),
        *in_words(plan),
        *pairs_in_words(plan),
        *(f"proves    {', '.join(p)} (without: {c} fails)" for c, p in scenario.proofs),
        *(f"WITHOUT   {name}" for name in plan.without),
    ]
    return "\n".join(lines)


def _times(plan: Plan, fault: Fault) -> str:
    if plan.scenario.design.interleaved:
        return ""  # the line of the design says it
    said = [f"at {fault.start.written()}"]
    if fault.duration is not None:
        said.append(f"for {format_duration(fault.duration)}")
    if fault.ramp:
        said.append(f"growing for {format_duration(fault.ramp)}")
    if fault.repeat is not None:
        said.append(f"every {format_duration(fault.repeat.every)}, {fault.repeat.times} times")
    return f"  ({', '.join(said)})"


def _rates(flows: dict[str, float]) -> str:
    return ", ".join(f"{flow} {rate:g}/s" for flow, rate in flows.items())


_RUNS = click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder of the recordings that can be named by their id.",
)
_TRUST = click.option("--trust", is_flag=True, help="Judge a recording also if its files were changed after the run.")


@click.command(epilog=EPILOG)
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@_TRUST
@_RUNS
@click.pass_context
def check(context: click.Context, run: str | None, as_json: bool, trust: bool, runs: Path) -> None:
    """Judge a stored RUN again (an id or a folder; the newest without one); exits like `run`."""
    context.exit(conclude(find_run(run, runs), as_json=as_json, trust=trust))


@click.command()
@click.argument("run", required=False)
@_TRUST
@_RUNS
@click.pass_context
def report(context: click.Context, run: str | None, trust: bool, runs: Path) -> None:
    """Judge a stored RUN again (an id or a folder) and draw its HTML report; prints the report's path."""
    folder = find_run(run, runs)
    drawn = judge_and_draw(folder, trust=trust)
    tell_of_unknown_keys(drawn.recording)
    if drawn.report:
        click.echo(drawn.report)
    if drawn.recording.tampered:
        show_note(drawn.verdict.summary)
        context.exit(ExitCode.UNKNOWN)


@click.command()
@click.argument("kind", type=click.Choice(["scenario", "target"]))
def schema(kind: str) -> None:
    """Print the JSON Schema that editors use; it is the validator's own."""
    model: type[Spec] = Scenario if kind == "scenario" else Target
    click.echo(json.dumps(json_schema(model), indent=1))
