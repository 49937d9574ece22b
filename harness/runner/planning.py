"""From what the user asked for to a plan that can be run; what can be wrong with it is found before anything starts."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from harness.checks.plugins import load_plugins as load_checks
from harness.drivers.catalogue import DriverKind, kind_of, why_unavailable
from harness.faults.kinds.catalogue import needs_of, why_missing
from harness.faults.plugins import load_plugins as load_faults
from harness.load.placeholders import check_placeholders
from harness.model.errors import UsageError
from harness.model.files.design import FEWEST_PAIRS
from harness.model.files.loading import load_sound_scenario, load_sound_target
from harness.model.files.scenario import Phase, Phases, Scenario, read_scenario_head
from harness.model.files.source import did_you_mean, read_yaml
from harness.model.files.target import Target
from harness.model.run.capabilities import refusal
from harness.model.run.plan import Plan
from harness.runner.library import check_sample_is_installed, find_scenario, sample_target
from harness.runner.machine import known_calibration

_LONGER = "run it without --quick, or give the scenario a longer `quick:`"


def make_plan(name: str, *, target: Path | None, seed: int | None, quick: bool, without: Sequence[str]) -> Plan:
    """Resolve a scenario (a name or a path) against its target.

    Raises:
        UsageError: anything in the files or the options that does not fit together, with its position.
    """
    load_faults()
    load_checks()
    path = find_scenario(name)
    head = read_scenario_head(path)
    resolved = load_runnable_target(target_path(path, head, target))
    check_placeholders(resolved)
    scenario = load_sound_scenario(path, resolved)
    phases = _phases(scenario, quick=quick)
    _check_faults_fit(path, scenario, phases)
    _check_capabilities(path, scenario, kind_of(resolved))
    _check_metrics_fit(path, scenario, phases)
    _check_pairs_fit(path, scenario, phases)
    return Plan(
        name=path.stem,
        scenario=scenario,
        target=resolved,
        phases=phases,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        quick=quick,
        without=check_protections(without, resolved, hint=_proved_by(scenario)),
        calibration=known_calibration(resolved.name) if scenario.design.interleaved else None,
    )


def load_runnable_target(path: Path) -> Target:
    """Read a target that a driver of this version can run; UsageError with its position where none can.

    Raises:
        HarnessError: it is the sample stack, and the packages that it alone needs are not installed.
    """
    target = load_sound_target(path)
    check_sample_is_installed(path)
    if why := why_unavailable(target.deployment):
        raise read_yaml(path).error(("deployment",), why)
    return target


def target_path(scenario_path: Path, scenario: Scenario, asked: Path | None) -> Path:
    """Return the file of the target: the one asked for, that of the scenario, or the sample's."""
    if asked is not None:
        return asked
    return scenario_path.parent / scenario.target if scenario.target else sample_target()


def _check_faults_fit(path: Path, scenario: Scenario, phases: Phases) -> None:
    """Refuse a kind that is not available on this machine, or that would start after the quick phases."""
    for number, fault in enumerate(scenario.faults, 1):
        if why := why_missing(fault):
            msg = f"{path}: fault {number}: {fault.kind} is not available on this machine: {why}"
            raise UsageError(msg, hint="`harness faults` lists what is")
        if fault.start.latest_s >= phases.fault:
            late = f"fault {number} starts {fault.start.latest_s:g}s into a fault phase of only {phases.fault:g}s"
            msg = f"{path}: {late}"
            raise UsageError(msg, hint=_LONGER)


def _check_capabilities(path: Path, scenario: Scenario, driver: DriverKind) -> None:
    """What a fault needs and the driver does not have is known before anything starts."""
    for number, fault in enumerate(scenario.faults, 1):
        name, has = driver.deployment.value, driver.capabilities
        if why := refusal(fault.kind, needs_of(fault), driver=name, has=has):
            raise UsageError(f"{path}: fault {number}: {why}", hint="`harness faults` lists what each kind needs")


def _check_metrics_fit(path: Path, scenario: Scenario, phases: Phases) -> None:
    """A metric that is looked at only after its phase would never be seen."""
    for entry in scenario.checks:
        metric = entry.metric
        if metric is not None and metric.after >= phases.seconds(metric.phase):
            phase = f"a {metric.phase.value} phase of only {phases.seconds(metric.phase):g}s"
            msg = f"{path}: check {entry.id}: looks at {metric.name} from {metric.after:g}s on, in {phase}"
            raise UsageError(msg, hint=_LONGER)


def _check_pairs_fit(path: Path, scenario: Scenario, phases: Phases) -> None:
    """Fewer than three pairs of windows decide nothing; a quick run may have fewer than the scenario asks for."""
    design = scenario.design.interleaved
    if design is not None and design.pairs_in(phases.fault) < FEWEST_PAIRS:
        held = f"a fault phase of only {phases.fault:g}s holds {design.pairs_in(phases.fault)} pairs of windows"
        raise UsageError(f"{path}: design: {held} of {design.window:g}s", hint=_LONGER)


def _phases(scenario: Scenario, *, quick: bool) -> Phases:
    """Return the scenario's phases, or for a quick run the shorter of these and the quick ones."""
    if not quick:
        return scenario.phases
    shortest = {p.value: min(scenario.phases.seconds(p), scenario.quick.seconds(p)) for p in Phase}
    return Phases.model_validate({name: f"{seconds:g}s" for name, seconds in shortest.items()})


def check_protections(asked: Sequence[str], target: Target, *, hint: str | None = None) -> list[str]:
    """Return the protections named by `--without`, commas separate several; UsageError for one that is not declared."""
    names = [name for item in asked for name in item.split(",") if name]
    for name in names:
        if name not in target.protections:
            known = did_you_mean(name, target.protections)
            msg = f"--without {name}: no such protection in target {target.name!r}{known}"
            raise UsageError(msg, hint=hint)
    return sorted(set(names))


def _proved_by(scenario: Scenario) -> str | None:
    proofs = "; ".join(f"check {check!r} proves {', '.join(names)}" for check, names in scenario.proofs)
    return f"in this scenario {proofs}" if proofs else None
