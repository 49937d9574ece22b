"""Schedules: reproducible, independent of each other, and of what a surge adds."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.arrivals import Arrival, Source, Surge, arrivals, arrivals_of, surges_of
from harness.model.run.clock import NS_PER_S
from tests.load.misbehaving_shop import FLOWS
from tests.load.running import plan_of

sources = st.builds(
    Source,
    tenant=st.sampled_from(["acme", "globex"]),
    flow=st.sampled_from(["browse", "checkout"]),
    rate=st.floats(0.1, 200),
    duration_s=st.floats(0.5, 10),
    seed=st.integers(0, 2**31),
    constant=st.booleans(),
)
windows = st.tuples(st.floats(0, 5), st.floats(0, 5)).map(sorted)
surges = st.builds(
    lambda tenant, times, window: Surge("fault-1", tenant, times, *window),
    st.sampled_from(["acme", "globex"]),
    st.floats(0.05, 10),
    windows,
)


@given(sources, st.lists(surges, max_size=1))
def test_the_same_seed_gives_the_same_schedule_in_order(source, surging):
    first, second = list(arrivals(source, surging)), list(arrivals(source, surging))
    assert first == second == sorted(first)
    assert len({arrival.id for arrival in first}) == len(first)


@given(sources, surges)
def test_a_surge_only_adds_and_a_lull_only_takes_away_within_its_window(source, surge):
    base, changed = set(arrivals(source, [])), set(arrivals(source, [surge]))
    difference = base ^ changed
    assert changed <= base if surge.times < 1 else base <= changed
    assert all(int(surge.start_s * NS_PER_S) <= a.due_ns < surge.end_s * NS_PER_S for a in difference)
    assert not difference or surge.tenant == source.tenant


@given(sources)
def test_nothing_is_due_before_the_start_or_after_the_end(source):
    assert all(0 <= arrival.due_ns < source.duration_s * NS_PER_S for arrival in arrivals(source, []))


@given(sources, sources)
def test_sources_do_not_share_their_randomness(one, other):
    if (one.tenant, one.flow) != (other.tenant, other.flow) or one.seed != other.seed:
        assert one.random("arrivals").random() != other.random("arrivals").random()


def test_constant_arrivals_are_evenly_spaced():
    due = [a.due_ns for a in arrivals(Source("acme", "browse", 4.0, 100.0, seed=3, constant=True), [])]
    gaps = {after - before for before, after in pairwise(due)}
    assert len(due) == 400
    assert all(abs(gap - NS_PER_S // 4) <= 1 for gap in gaps)


def test_poisson_gaps_have_the_mean_and_the_spread_of_an_exponential():
    due = [a.due_ns / NS_PER_S for a in arrivals(Source("acme", "browse", 10.0, 2000.0, seed=3), [])]
    gaps = [after - before for before, after in pairwise(due)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert mean == pytest.approx(0.1, rel=0.03)
    assert variance == pytest.approx(0.01, rel=0.06)


@pytest.mark.parametrize(("times", "constant"), [(20.0, False), (3.0, True), (0.25, False)])
def test_a_surge_multiplies_the_rate(times, constant):
    source = Source("acme", "browse", 20.0, 300.0, seed=5, constant=constant)
    surge = Surge("fault-1", "acme", times, 100.0, 200.0)
    inside = [a for a in arrivals(source, [surge]) if 100 <= a.due_ns / NS_PER_S < 200]
    assert len(inside) == pytest.approx(2000 * times, rel=0.06)


def test_a_plan_yields_all_its_sources_merged():
    plan = plan_of(
        FLOWS, {"acme": {"good": 30, "hang": 5}, "globex": {"good": 10}}, surge={"tenant": "globex", "times": 4}
    )
    merged = list(arrivals_of(plan))
    assert merged == sorted(merged)
    assert {(a.tenant, a.flow, a.surge) for a in merged} == {
        ("acme", "good", ""),
        ("acme", "hang", ""),
        ("globex", "good", ""),
        ("globex", "good", "fault-1"),
    }
    assert surges_of(plan) == [Surge("fault-1", "globex", 4.0, 1.0, 2.0)]


def test_ids_name_their_source():
    assert Arrival(0, "acme", "browse", 3).id == "acme-browse-3"
    assert Arrival(0, "acme", "browse", 3, "fault-1").id == "acme-browse-fault-1-3"
