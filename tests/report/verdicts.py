"""Verdicts for the demo recordings, written by hand: a report needs no checks to be drawn."""

from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Evidence, Finding, Status, Verdict
from tests.report.demo import BASELINE, FAULT, LINK, RECOVERY


def trust(*, felt: bool = True) -> tuple[Finding, ...]:
    """What every run gets, unasked."""
    good = Status.PASS
    reached = (
        Finding("fault_observed", LINK, good, "76 calls on payments -> provider-a, 6 connections", "> 0", 76, FAULT)
        if felt
        else Finding(
            "fault_observed",
            LINK,
            Status.UNKNOWN,
            "0 calls, 0 connections",
            "> 0",
            0,
            FAULT,
            cause=Cause.NOT_OBSERVED,
            reason="No request passed through the link while it was slow: give the flow that uses it some load.",
        )
    )
    return (
        Finding("fault_applied", LINK, good, "applied at 20.0 s, read back", "applied", 1, FAULT),
        reached,
        Finding("load_delivered", "acme checkout", good, "226 of 224 expected", "within 4 sigma", 226, None),
        Finding("load_delivered", "globex checkout", good, "219 of 224 expected", "within 4 sigma", 219, None),
        Finding(
            "steady_before",
            "acme checkout p95",
            good,
            "128 ms",
            "< 600 ms",
            64,
            BASELINE,
            tenant="acme",
            flow="checkout",
        ),
        Finding(
            "steady_before",
            "globex checkout p95",
            good,
            "131 ms",
            "< 600 ms",
            66,
            BASELINE,
            tenant="globex",
            flow="checkout",
        ),
        Finding("rollback", LINK, good, "undone by the harness, read back", "undone", 1, None),
        Finding(
            "steady_after", "acme checkout errors", good, "0%", "< 1%", 22, RECOVERY, tenant="acme", flow="checkout"
        ),
        Finding("isolation", "all tenants", good, "0 foreign answers", "0", 1582, None),
        Finding("generator_kept_up", "start lag p99", good, "1.5 ms", "< 20 ms", 1582, None),
    )


def held() -> Verdict:
    """The verdict of a run that contained its fault."""
    findings = (
        Finding(
            "breaker",
            LINK,
            Status.PASS,
            "opened after 1.3 s, refused 61 of 74, closed 2.1 s after the fault",
            "opens <= 4s, closes <= 12s",
            74,
            FAULT,
        ),
        Finding(
            "blast_radius",
            "acme checkout p99",
            Status.PASS,
            "1.51 s",
            "< 1900 ms",
            80,
            FAULT,
            tenant="acme",
            flow="checkout",
        ),
        Finding(
            "blast_radius",
            "globex checkout p95",
            Status.PASS,
            "129 ms",
            "< 600 ms",
            81,
            FAULT,
            tenant="globex",
            flow="checkout",
        ),
        Finding(
            "blast_radius",
            "initech browse p95",
            Status.FAIL,
            "14 ms, 1.6 times its baseline",
            "< 1.5 times",
            240,
            FAULT,
            severity=Severity.WARNING,
            reason="Within its objective, but clearly slower than before the fault.",
            tenant="initech",
            flow="browse",
        ),
    )
    return Verdict(Status.PASS, None, "All requested checks were decided and passed.", (*findings, *trust()))


def broken() -> Verdict:
    """The verdict of a run whose breaker was switched off."""
    findings = (
        Finding(
            "breaker",
            LINK,
            Status.FAIL,
            "never opened; 74 calls reached the link",
            "opens <= 4s, closes <= 12s",
            74,
            FAULT,
            reason="Calls kept reaching the hanging provider for the whole fault.",
            evidence=(Evidence("a call that waited 1.5 s", "5f2c6a1e9b7d4c3a8e0f1a2b3c4d5e6f"),),
        ),
        Finding(
            "blast_radius",
            "globex checkout p95",
            Status.FAIL,
            "1.12 s",
            "< 600 ms",
            81,
            FAULT,
            tenant="globex",
            flow="checkout",
            reason="A tenant that was not to be hurt lost its objective.",
        ),
        Finding(
            "blast_radius",
            "initech checkout p99",
            Status.UNKNOWN,
            "1.19 s",
            "< 1200 ms",
            81,
            FAULT,
            tenant="initech",
            flow="checkout",
            cause=Cause.TOO_FEW_SAMPLES,
            reason="81 requests cannot decide a p99; about 400 would.",
        ),
    )
    summary = "The breaker of payments -> provider-a never opened, and globex was hurt with acme."
    return Verdict(Status.FAIL, None, summary, (*findings, *trust()))


def not_felt() -> Verdict:
    """The verdict of a run whose fault reached nobody."""
    summary = "The fault on payments -> provider-a reached no traffic, so nothing was put to the test."
    return Verdict(Status.UNKNOWN, Cause.NOT_OBSERVED, summary, trust(felt=False))
