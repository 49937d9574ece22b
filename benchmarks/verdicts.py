"""How often a verdict on bystanders is wrong: false alarms without harm, and harm that is found, beside naive rules.

    python -m benchmarks.verdicts [--runs 200] [--real RUNS]

Latencies are made up with a known truth (see `latencies.py`); with --real, runs without harm are also cut from the
calm phases of the recordings below that folder. A run has four flows that bystanders use, each alarm of any of them
counts. Prints Markdown. Seeds are fixed; it takes about two minutes.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.latencies import Harm, Machine, machine, requests_of, slower, slower_tail, unharmed
from benchmarks.naive_rules import NAIVE
from benchmarks.single_runs import MISSED_MOST, found_in_single_runs
from harness.evidence.facts import Facts
from harness.evidence.pairs import Differences, Floats, RealPair, differences
from harness.evidence.requests import Requests
from harness.model.files.check_kinds.on_windows import UnharmedCheck
from harness.model.files.design import Interleaved
from harness.model.files.scenario import Phase
from harness.model.result.finding import How, Window
from harness.model.run.calibration import MEASURES
from harness.model.run.clock import NS_PER_S
from harness.model.run.windows import draw_pairs
from harness.recording.reader import Recording
from harness.statistics.containment import against_margins
from harness.statistics.pairs import Contained
from harness.statistics.shares import FEWEST
from harness.workflows.calibrate import RESAMPLED, calm_pairs, false_alarms

RATE, WINDOW_S, SETTLE_S = 16.0, 4.0, 1.0
MEDIANS_MS = (30.0, 90.0, 30.0, 90.0)  # of the flows; the second one is harmed
HARMED = 1
REAL_WINDOW_S = 3.0  # the baseline of a quick run holds one pair
SPEC = UnharmedCheck()
MARGINS = {"p50": np.log(SPEC.margin.limit), "p95": np.log(SPEC.margin.limit), "errors": SPEC.errors}
OURS = "pairs of windows (`unharmed`)"
HARMS: Sequence[tuple[str, Harm]] = (
    ("p95 +25 %", slower(1.25)),
    ("p95 +50 %", slower(1.5)),
    ("p95 +100 %", slower(2.0)),
    ("p95 +50 %, median as before", slower_tail(1.5)),
    ("p95 +100 %, median as before", slower_tail(2.0)),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One interleaved run: its pairs of windows, and the requests of each bystander's flow."""

    pairs: list[RealPair]
    flows: list[Requests]


def drawn_run(seed: int, pairs: int, harm: Harm) -> Run:
    """Make one run up."""
    random = np.random.default_rng(seed)
    design = Interleaved.model_validate({"pairs": pairs, "window": f"{WINDOW_S}s", "settle": f"{SETTLE_S}s"})
    seconds = design.shortest_s
    drawn = draw_pairs(design, start_s=0, length_s=seconds, seed=seed)
    under, on = [pair.fault for pair in drawn], machine(random, seconds)
    flows = [_flow(random, on, seconds, number, harm, under) for number in range(len(MEDIANS_MS))]
    return Run([RealPair(_window(pair.control), _window(pair.fault)) for pair in drawn], flows)


def _flow(
    random: np.random.Generator, on: Machine, seconds: float, number: int, harm: Harm, under: list[tuple[float, float]]
) -> Requests:
    does = harm if number == HARMED else unharmed
    median_ms = MEDIANS_MS[number]
    return requests_of(random, on, seconds=seconds, rate=RATE, median_ms=median_ms, harm=does, windows=under)


def _window(edges: tuple[float, float]) -> Window:
    return Window("", round((edges[0] + SETTLE_S) * NS_PER_S), round(edges[1] * NS_PER_S))


def outcomes(flows: Sequence[Sequence[Differences]]) -> list[list[Contained]]:
    """Judge each flow's measures as the check does; return the outcomes, flow by flow."""
    series = [seen.known for flow in flows for seen in flow]
    judged = against_margins(series, [MARGINS[measure] for _ in flows for measure in MEASURES])
    width = len(MEASURES)
    return [[each.outcome for each in judged[n * width : (n + 1) * width]] for n in range(len(flows))]


def measured(run: Run) -> list[list[Differences]]:
    """Return what the check looks at."""
    return [[differences(rows, measure, run.pairs) for measure in MEASURES] for rows in run.flows]


def naive_alarms(run: Run, rule: Callable[[Floats, Floats], bool]) -> list[bool]:
    """Say of each flow whether a naive rule alarms on all requests of its windows."""
    return [rule(*(_latencies_ms(rows, side, run.pairs) for side in ("control", "fault"))) for rows in run.flows]


def _latencies_ms(rows: Requests, side: str, pairs: Sequence[RealPair]) -> Floats:
    return np.concatenate([rows.within(getattr(pair, side)).latency_ms for pair in pairs])


def single_run(run: Run) -> Run:
    """Return the same requests with a baseline and one long window after it, as most tools compare them."""
    first, last = run.pairs[0], run.pairs[-1]
    begin_ns = min(first.control.start_ns, first.fault.start_ns)
    end_ns = max(last.control.end_ns, last.fault.end_ns)
    middle_ns = (begin_ns + end_ns) // 2
    return Run([RealPair(Window("", begin_ns, middle_ns), Window("", middle_ns, end_ns))], run.flows)


# -- tables ------------------------------------------------------------------------------------------------------------


def false_alarm_rows(runs: Sequence[Run], what: str) -> Iterator[str]:
    """Yield a row for each rule: the share of runs without harm in which it alarms at all."""
    judged = [outcomes(measured(run)) for run in runs]
    leaked = np.mean([any(Contained.LEAKED in flow for flow in flows) for flows in judged])
    contained = np.mean([all(each is Contained.CONTAINED for flow in flows for each in flow) for flows in judged])
    yield f"| {what} | {OURS} | {leaked:.1%} | – | all contained in {contained:.0%} |"
    for name, rule in NAIVE.items():
        pairs, single = (np.mean([any(naive_alarms(as_(run), rule)) for run in runs]) for as_ in (_same, single_run))
        yield f"| {what} | {name} | {pairs:.1%} | {single:.1%} | |"


def real_rows(folder: Path) -> Iterator[str]:
    """Yield the same for what was really recorded: runs put together from calm windows, and halves of baselines."""
    facts = [each for path in sorted(folder.glob("*/run.json")) if (each := _readable(path.parent))]
    design = Interleaved.model_validate({"pairs": 8, "window": f"{REAL_WINDOW_S}s", "settle": "0s"})
    pairs = [pair for number, each in enumerate(facts) for pair in calm_pairs(each, design, seed=number)]
    what = f"{len(facts)} real recordings"
    if len(pairs) < design.pairs:
        yield f"| {what} | {OURS} | – | – | only {len(pairs)} calm pairs of windows |"
        return
    told = f"{RESAMPLED} runs of 8 out of {len(pairs)} calm pairs of windows of {REAL_WINDOW_S:g} s"
    yield f"| {what} | {OURS} | {false_alarms(pairs, design.pairs, seed=1):.1%} | – | {told} |"
    halves = [half for each in facts if (half := _halves(each))]
    for name, rule in NAIVE.items():
        yield f"| {what} | {name} | – | {np.mean([any(naive_alarms(run, rule)) for run in halves]):.1%} | baselines |"


def _readable(path: Path) -> Facts | None:
    facts = Facts(Recording(path, trust=True))
    return facts if facts.recording.manifest.how is How.COMPLETED else None


def _halves(facts: Facts) -> Run | None:
    baseline = facts.phase(Phase.BASELINE)
    middle_ns = (baseline.start_ns + baseline.end_ns) // 2
    cut = RealPair(Window("", baseline.start_ns, middle_ns), Window("", middle_ns, baseline.end_ns))
    flows = [facts.requests.of(pair) for pair in facts.loaded]
    busy = [rows for rows in flows if min(len(rows.within(cut.control)), len(rows.within(cut.fault))) >= FEWEST]
    return Run([cut], busy) if busy else None


def _same(run: Run) -> Run:
    return run


def detection_row(name: str, harm: Harm, pairs: int, runs: int) -> str:
    """Return how often harm to one flow is called leaked, open and contained, and how often naive rules see it."""
    made = [drawn_run(50_000 + seed, pairs, harm) for seed in range(runs)]
    judged = [outcomes(measured(run))[HARMED] for run in made]
    leaked = np.mean([Contained.LEAKED in flow for flow in judged])
    missed = np.mean([all(each is Contained.CONTAINED for each in flow) for flow in judged])
    naive = (np.mean([naive_alarms(run, rule)[HARMED] for run in made]) for rule in NAIVE.values())
    seen = " | ".join(f"{share:.0%}" for share in naive)
    return f"| {name} | {pairs} | **{leaked:.0%}** | {1 - leaked - missed:.0%} | {missed:.0%} | {seen} |"


def main() -> int:
    """Print both tables; 1 if a rate is not what is promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200, help="runs without harm, made up")
    parser.add_argument("--curve", type=int, default=40, help="runs a point of the curves")
    parser.add_argument("--single", type=int, default=20, help="recordings of single runs")
    parser.add_argument("--real", type=Path, help="folder of recordings")
    options = parser.parse_args()
    began = time.perf_counter()
    print(
        f"{RATE:g} requests a second and flow, windows of {WINDOW_S:g} s less {SETTLE_S:g} s, margin {SPEC.margin}.\n"
    )
    print("| runs without harm | rule | false alarms, same windows | false alarms, one half against the other | |")
    print("|---|---|---|---|---|")
    for row in false_alarm_rows(
        [drawn_run(seed, 8, unharmed) for seed in range(options.runs)], f"{options.runs} made up"
    ):
        print(row, flush=True)
    if options.real:
        for row in real_rows(options.real):
            print(row, flush=True)
    print(f"\n| harm to one flow | K | leaked | open | called unharmed | {' | '.join(NAIVE)} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, harm in HARMS:
        for pairs in (4, 8, 16):
            print(detection_row(name, harm, pairs, options.curve), flush=True)
    print("\n| one run, baseline against fault, by `judge()` | recordings | broken | unknown | held |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        rows = found_in_single_runs(Path(folder), options.single)
        missed = [_printed(row.text, row.held) for row in rows]
    print(f"\n{time.perf_counter() - began:.0f} s")
    return int(max(missed) > MISSED_MOST)


def _printed(row: str, held: float) -> float:
    print(row, flush=True)
    return held


if __name__ == "__main__":
    sys.exit(main())
