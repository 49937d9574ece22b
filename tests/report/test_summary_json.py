"""What `--json` promises to scripts."""

import json

from harness.report.summary_json import summary
from tests.report import verdicts
from tests.report.demo import CLAIM, FAULT, LINK


def test_the_answer_is_complete_and_json(held):
    said = summary(held, verdicts.held())
    findings = said.pop("findings")
    assert json.loads(json.dumps(said, allow_nan=False)) == {
        "format": 1,
        "run": "held",
        "scenario": "payment-provider-hang",
        "claim": CLAIM,
        "seed": 7,
        "quick": False,
        "without": [],
        "commit": "4922481",
        "started": "2026-05-28 20:26:34 UTC",
        "duration_s": 56.0,
        "verdict": "held",
        "status": "pass",
        "cause": None,
        "how": "completed",
        "summary": "All requested checks were decided and passed.",
        "exit_code": 0,
        "rollback_confirmed": True,
        "hurt": [
            {
                "tenant": "acme",
                "flow": "checkout",
                "declared": True,
                "requests": 80,
                "not_ok_share": 1.0,
                "p95_ms": 712.1,
                "baseline_p95_ms": 125.2,
            }
        ],
        "contained": {"after_s": 1.28, "what": "breaker payments -> provider-a opened"},
        "broke_first": {"after_s": 0.743, "what": "a call payments -> provider-a"},
        "recovered": {"after_s": 1.97},
        "trust": [
            {"name": "fault applied", "ok": True, "value": "applied at 20.0 s, read back"},
            {"name": "fault observed", "ok": True, "value": "76 calls on payments -> provider-a, 6 connections"},
            {"name": "load delivered", "ok": True, "value": "2 of 2"},
            {"name": "steady before", "ok": True, "value": "2 of 2"},
            {"name": "rollback", "ok": True, "value": "undone by the harness, read back"},
            {"name": "steady after", "ok": True, "value": "0%"},
            {"name": "isolation", "ok": True, "value": "0 foreign answers"},
            {"name": "generator lag", "ok": True, "value": "p99 1.49 ms"},
            {"name": "machine busy", "ok": True, "value": "39%"},
            {"name": "telemetry", "ok": True, "value": "10,877 spans, none lost"},
        ],
        "counts": {"pass": 13, "not_exercised": 0, "fail": 0, "unknown": 0, "warnings": 1},
    }
    assert findings[0] == {
        "check": "breaker",
        "subject": LINK,
        "status": "pass",
        "severity": "critical",
        "queue": "page",
        "value": "opened after 1.3 s, refused 61 of 74, closed 2.1 s after the fault",
        "bound": "opens <= 4s, closes <= 12s",
        "samples": 74,
        "window": {"name": "fault", "start_ns": FAULT.start_ns, "end_ns": FAULT.end_ns},
        "cause": None,
        "reason": "",
        "tenant": None,
        "flow": None,
        "link": None,
        "key": f"breaker/{LINK}",
        "measured": None,
        "limit": None,
        "evidence": [],
    }


def test_what_was_not_seen_is_null(not_felt):
    said = summary(not_felt, verdicts.not_felt())
    wanted = {"verdict": "unknown", "cause": "not observed", "exit_code": 2, "hurt": [], "contained": None}
    assert {key: said[key] for key in wanted} == wanted
    assert said["broke_first"] is None
