from harness.model.result.finding import Cause, Status
from tests.checks.stories import all_is_well, found, told
from tests.recordings import Stretch

CHECK = {"recovery": {"within": "6s"}}


def hurt_until(written, end_s, **how):
    all_is_well(written, but=[Stretch(12, end_s, "acme", "checkout")])
    written.requests("acme", "checkout", 12, end_s, rate=4, **how)
    return written.read()


def test_everybody_back_at_once_passes(new_run):
    assert told(all_is_well(new_run(CHECK)).read(), "recovery") == [
        ("acme browse", "pass", "0 s after the fault"),
        ("acme checkout", "pass", "0 s after the fault"),
        ("globex browse", "pass", "0 s after the fault"),
        ("globex checkout", "pass", "0 s after the fault"),
    ]


def test_it_tells_how_long_it_took(new_run):
    recording = hurt_until(new_run(CHECK), 25, status=503)
    assert told(recording, "recovery")[1] == ("acme checkout", "pass", "3 s after the fault")


def test_still_failing_when_the_time_is_over_fails(new_run):
    recording = hurt_until(new_run(CHECK), 30, status=503)
    finding = found(recording, "recovery")[1]
    assert (finding.status, finding.value) == (Status.FAIL, "8 s after the fault")
    assert finding.reason == "errors still out of bounds 6 s after the fault."
    assert finding.evidence


def test_never_back_fails(new_run):
    finding = found(hurt_until(new_run(CHECK), 32, latency_ms=900), "recovery")[1]
    assert (finding.status, finding.value) == (Status.FAIL, "not before the run ended")


def test_a_run_that_ends_too_early_to_tell_decides_nothing(new_run):
    finding = found(hurt_until(new_run({"recovery": {"within": "30s"}}), 32, status=503), "recovery")[1]
    assert (finding.status, finding.cause) == (Status.UNKNOWN, Cause.TOO_FEW_SAMPLES)
    assert finding.reason == "The run ended 10 s after the fault, too early to tell: make the recovery phase longer."


def test_whoever_is_back_before_a_short_run_ends_passes_all_the_same(new_run):
    recording = hurt_until(new_run({"recovery": {"within": "30s"}}), 24, status=503)
    assert told(recording, "recovery")[1] == ("acme checkout", "pass", "2 s after the fault")


def test_a_pair_with_hardly_any_requests_borrows_those_of_its_flow(new_run):
    load = {"acme": {"browse": 6}, "globex": {"browse": 0.3}}
    findings = found(all_is_well(new_run(CHECK, load=load, blast_radius={})).read(), "recovery")
    assert [(f.tenant, f.status, f.samples) for f in findings] == [
        ("acme", Status.PASS, 60),
        ("globex", Status.PASS, 63),
    ]


def test_it_borrows_nothing_if_one_of_its_own_is_bad(new_run):
    written = all_is_well(new_run(CHECK, load={"acme": {"browse": 6}, "globex": {"browse": 0.3}}, blast_radius={}))
    written.request("globex", "browse", 30, status=500)
    finding = found(written.read(), "recovery")[1]
    assert (finding.status, finding.samples) == (Status.UNKNOWN, 4)
    assert (
        finding.reason
        == "Too few requests after the fault to decide it: make the recovery phase longer, or load it more."
    )


def test_without_requests_after_the_fault_nothing_is_decided(new_run):
    recording = all_is_well(new_run(CHECK), but=[Stretch(22, 32, "acme", "checkout")]).read()
    finding = found(recording, "recovery")[1]
    assert (finding.status, finding.samples) == (Status.UNKNOWN, 0)
