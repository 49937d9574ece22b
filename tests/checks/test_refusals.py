import pytest

from harness.model.result.finding import Status
from tests.checks.stories import all_is_well, found, told
from tests.recordings import Stretch

CHECK = {"refusals": {"tenant": "globex", "share": ">= 30%"}}


def refusing(written, share, **how):
    """Let globex browse at 20 a second, of which *share* are refused as *how* says."""
    all_is_well(written, but=[Stretch(12, 22, "globex")])
    written.requests("globex", "browse", 12, 22, rate=20 * (1 - share))
    if share:
        written.requests("globex", "browse", 12, 22, rate=20 * share, **how)
    return written.read()


@pytest.mark.parametrize("status", [429, 503])
def test_a_surplus_that_is_refused_politely_and_quickly_passes(new_run, status):
    recording = refusing(new_run(CHECK), 0.5, status=status, latency_ms=3, retry_after=True)
    assert told(recording, "refusals") == [
        ("globex refused", "pass", "50%"),
        ("globex refused with Retry-After", "pass", "100%"),
        ("globex refused p95", "pass", "3 ms"),
    ]


@pytest.mark.parametrize(
    ("share", "how", "failed"),
    [
        (0.1, {"status": 429, "latency_ms": 3, "retry_after": True}, "globex refused"),
        (0.5, {"status": 429, "latency_ms": 3, "retry_after": False}, "globex refused with Retry-After"),
        (0.5, {"status": 503, "latency_ms": 900, "retry_after": True}, "globex refused p95"),
    ],
    ids=["too few", "no word when to come back", "slowly"],
)
def test_each_part_of_it_can_fail(new_run, share, how, failed):
    findings = found(refusing(new_run(CHECK), share, **how), "refusals")
    assert [f.subject for f in findings if f.status is Status.FAIL] == [failed]


def test_other_failures_are_no_refusals(new_run):
    findings = found(refusing(new_run(CHECK), 0.5, status=500), "refusals")
    assert [(f.status, f.value) for f in findings] == [
        (Status.FAIL, "0%"),
        (Status.UNKNOWN, "–"),
        (Status.UNKNOWN, "–"),
    ]
