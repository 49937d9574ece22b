from harness.checks.blame import SpanLine, Trace
from harness.checks.coupling import _hops, chattiness, depth, fan_out
from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found
from tests.recordings import Stretch

ALL = {"coupling": {"depth": "<= 3", "fan_out": "<= 2", "chattiness": "<= 1"}}


def span(number, parent, link=None):
    return SpanLine(number, parent, link, 0, 1, failed=False)


def hops(*spans):
    return _hops(Trace(1, spans), {"a-db"})


CHAIN = (span(1, 9), span(2, 1, "a -> b"), span(3, 2), span(4, 3, "b -> c"), span(5, 4), span(6, 5, "c -> a-db"))
STAR = (span(1, None), span(2, 1, "a -> b"), span(3, 1, "a -> c"), span(4, 1, "a -> d"), span(5, 1, "a -> a-db"))
CHAT = (span(1, None), *(span(n, 1, "a -> b") for n in range(2, 7)), *(span(n, 1, "a -> a-db") for n in range(8, 20)))


def test_a_chain_is_deep_and_its_database_is_no_hop():
    assert [measure(hops(*CHAIN)) for measure in (depth, fan_out, chattiness)] == [2, 1, 1]


def test_a_star_fans_out():
    assert [measure(hops(*STAR)) for measure in (depth, fan_out, chattiness)] == [1, 3, 1]


def test_the_same_call_again_and_again_is_chatty():
    assert [measure(hops(*CHAT)) for measure in (depth, fan_out, chattiness)] == [1, 1, 5]


def test_nothing_at_all_and_a_circle_end():
    assert depth(hops()) == fan_out(hops()) == chattiness(hops()) == 0
    assert depth(hops(span(1, 2, "a -> b"), span(2, 1, "b -> a"))) == 3


def judged(written):
    return {(f.subject, f.status) for f in found(all_is_well(written).read(), "coupling")}


def test_flows_within_their_bounds_pass(new_run):
    results = judged(new_run(ALL))
    assert ("checkout depth", Status.PASS) in results
    assert {status for subject, status in results if subject != "shared stores"} == {Status.PASS}


def test_where_no_database_was_called_none_can_be_shared(new_run):
    assert ("shared stores", Status.NOT_EXERCISED) in judged(new_run(ALL))


def test_torn_traces_do_not_make_a_deep_flow_look_shallow(new_run):
    written = new_run({"coupling": {"depth": "<= 2"}})
    all_is_well(written, but=[Stretch(0, 12, None, "checkout")])
    for tenant in ("acme", "globex"):
        for trace in written.requests(tenant, "checkout", 2, 12, rate=4, chain=("gateway", "orders")):
            written.span(trace, "payments", "server", 5, 3, parent=written.new_id(8))
    finding = next(f for f in found(written.read(), "coupling") if f.subject == "checkout depth")
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)


def test_a_distributed_monolith_fails(new_run):
    deep = new_run({"coupling": {"depth": "<= 2"}})
    assert ("checkout depth", Status.FAIL) in judged(deep)


def test_a_store_with_two_callers_is_shared(new_run):
    services = {name: {"command": ["true"]} for name in ("gateway", "catalog", "orders", "payments", "identity")}
    database = {"provider-a": {"kind": "postgres", "database": "x"}, "provider-b": {"command": ["true"]}}
    written = new_run({"coupling": {}}, target={"services": services | database})
    all_is_well(written)
    written.requests("acme", "checkout", 2, 10, rate=5, chain=("gateway", "orders", "provider-a"))
    finding = next(f for f in found(written.read(), "coupling") if f.subject == "shared stores")
    assert (finding.status, finding.value) == (Status.FAIL, "provider-a: orders, payments")


def test_without_traces_it_is_unknown(new_run):
    written = new_run(ALL)
    written.load_as_planned(chain=())
    (finding,) = found(written.read(), "coupling")
    assert finding.cause is Cause.TELEMETRY_LOST
