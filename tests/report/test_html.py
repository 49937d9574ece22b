"""The page as a reader without JavaScript gets it."""

import json
import re

import pytest

from harness.model.result.finding import Cause, Finding, How, Status, Verdict
from harness.report.html import render, write_report
from tests.report import verdicts
from tests.report.demo import Demo, demo_plan
from tests.report.reading import Page

NOTHING = Verdict(Status.UNKNOWN, Cause.NOTHING_JUDGED, "Nothing was judged.", ())
HOSTILE = "<script>alert(1)</script>\"'&"


def test_the_first_screen_answers_the_first_questions(broken_page):
    words = broken_page.text
    order = [
        "✕ BROKEN",
        "When the payment provider of one tenant hangs",
        "never opened, and globex was hurt with acme",
        "seed 7",
        "Who was hurt?",
        "(NOT declared), beside acme checkout (declared)",
        "How fast was it contained? no protection was seen to act",
        "When was it over? at most 2.0 s after the fault ended",
        "What broke first? a call payments -> provider-a, 0.7 s after the fault began",
        "Can it be trusted?",
        "fault observed 76 calls on payments -> provider-a, 6 connections",
        "generator lag p99 1.49 ms",
    ]
    positions = [words.find(part) for part in order]
    assert -1 not in positions, order[positions.index(-1)]
    assert positions == sorted(positions)


def test_failures_come_first_then_unknowns_then_warnings_then_what_held(broken_page, held_page):
    tables = [attributes for attributes in broken_page.of("tr") if attributes.get("class") in ("bad", "unsure")]
    assert [a["class"] for a in tables[:3]] == ["bad", "bad", "unsure"]
    words = held_page.text
    assert words.index("No critical check failed") < words.index("Warnings") < words.index("Held ✓ breaker")


def test_a_finding_shows_value_bound_samples_window_reason_and_trace(broken_page):
    line = (
        "✕ failed breaker payments -> provider-a never opened; 74 calls reached the link "
        "opens <= 4s, closes <= 12s 74 fault 20–40 s Calls kept reaching the hanging provider for the whole fault. "
        "a call that waited 1.5 s trace 5f2c6a1e9b7d4c3a8e0f1a2b3c4d5e6f"
    )
    assert line in broken_page.text


def test_victims_come_first_in_the_heat_map_and_bystanders_are_unmarked(held_page):
    rows = [
        a["aria-label"] for a in held_page.of("svg") if "worst" not in (a.get("aria-label") or "") and a.get("role")
    ]
    assert rows[0].startswith("acme: ")
    assert "fault: over 99× (checkout errors)" in rows[0]
    assert len(held_page.of("path", "heat-mark")) == 1  # acme's


@pytest.mark.parametrize("page", ["held_page", "broken_page"])
def test_the_page_is_sound_and_self_contained(page, request):
    page = request.getfixturevalue(page)
    assert page.unbalanced == []
    assert len(page.ids) == len(set(page.ids))
    addresses = [a[name] for _, a in page.elements for name in ("src", "href", "action", "data", "poster") if name in a]
    assert addresses == []
    ours = page.without_library()
    assert "@import" not in ours
    assert not re.search(r"url\((?!#)", ours)
    assert "http://" not in ours.replace("http://www.w3.org", "")
    assert "https://" not in ours
    policy = next(a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none';")


@pytest.mark.parametrize("page", ["held_page", "broken_page"])
def test_the_page_stays_inside_its_budgets(page, request):
    page = request.getfixturevalue(page)
    assert len(page.source.encode()) <= 2_500_000
    assert len(page.without_library().encode()) <= 150_000


def test_many_tenants_for_a_long_time_stay_inside_the_budgets(tmp_path):
    tenants = tuple(f"tenant-{number:03}" for number in range(60))
    recording = Demo(tmp_path / "wide", plan=demo_plan(tenants), spans=False).write()
    page = Page(render(recording, NOTHING))
    assert len(page.without_library().encode()) <= 150_000
    assert "40 more tenants, less hurt, are not drawn" in page.text
    data = json.loads(re.search(r'id="chart-data">(.*?)</script>', page.source, re.S)[1])
    sizes = [len(series["y"]) for panel in data["panels"] for series in panel["series"]]
    assert max(sizes) <= 2_000
    assert sum(sizes) <= 60_000


def test_every_table_names_its_columns_and_every_picture_speaks(held_page):
    assert all(a.get("scope") for a in held_page.of("th"))
    drawings = [a for a in held_page.of("svg") if a.get("aria-hidden") != "true"]
    assert drawings
    assert all(a.get("role") == "img" and a.get("aria-label") for a in drawings)
    assert next(tag for tag, _ in held_page.elements if tag in ("h1", "h2", "h3")) == "h1"
    assert len(held_page.of("figure")) == len(held_page.of("figcaption"))


def test_the_worst_requests_stand_beside_median_ones(held_page):
    words = held_page.text
    assert "acme checkout (victim): 1.51 s, 504 failed: deadline" in words
    assert "acme checkout (victim): 713 ms, 503 refused: payment_unavailable" in words
    assert "(bystander)" in words
    assert words.count("median twin, before the fault") == len(held_page.of("figure", "comparison"))


def test_the_command_that_repeats_the_run_is_there(held_page):
    assert "harness run payment-provider-hang --seed 7" in held_page.text
    assert "harness check runs/held" in held_page.text


def test_names_from_outside_are_text_and_nothing_else(tmp_path):
    plan = demo_plan((HOSTILE, "globex"))
    recording = Demo(tmp_path / "hostile", plan=plan).write()
    finding = Finding(HOSTILE, HOSTILE, Status.FAIL, HOSTILE, HOSTILE, 1, None, reason=HOSTILE)
    source = render(recording, Verdict(Status.FAIL, None, HOSTILE, (finding,)))
    page = Page(source)
    assert "<script>alert" not in source
    assert page.unbalanced == []
    assert len(page.of("script")) == 3
    assert page.text.count(HOSTILE) > 10
    data = json.loads(re.search(r'id="chart-data">(.*?)</script>', source, re.S)[1])
    assert data["heat"]["rows"][0][0] == HOSTILE


def test_a_rollback_that_is_not_confirmed_cannot_be_overlooked(held):
    verdict = Verdict(Status.FAIL, None, "", (), rollback_confirmed=False)
    page = Page(render(held, verdict))
    assert len(page.of("p", "alert")) == 1
    assert "Run `harness recover`." in page.text


def test_a_killed_run_says_so_and_shows_what_there_is(tmp_path):
    demo = Demo(tmp_path / "killed", until_s=26.0)
    recording = demo.write(how=None)
    verdict = Verdict(Status.UNKNOWN, Cause.INTERRUPTED, "Killed.", (), how=How.INTERRUPTED)
    page = Page(render(recording, verdict))
    assert "? UNKNOWN: interrupted" in page.text
    assert "the end of the run: the harness was killed while it ran" in page.text
    assert "When was it over? not seen: nothing was recorded after the fault" in page.text
    assert page.of("figure", "heat")


def test_a_run_without_requests_or_spans_says_what_is_missing(tmp_path):
    recording = Demo(tmp_path / "empty", until_s=0.0).write()
    page = Page(render(recording, NOTHING))
    for missing in ("requests: no tenant's experience", "spans: no traces", "metrics: memory"):
        assert missing in page.text
    assert "Nothing was judged." in page.text
    assert page.unbalanced == []
    assert page.of("figure", "heat") == []


def test_a_run_that_never_came_to_have_phases_renders(tmp_path):
    demo = Demo(tmp_path / "early", until_s=0.0)
    recording = demo.write(how=How.FAILED)
    manifest = recording.manifest.model_copy(update={"windows": [], "cause": "catalog did not get healthy"})
    recording.manifest = manifest
    (recording.path / "events.jsonl").unlink()
    page = Page(render(recording, Verdict(Status.UNKNOWN, Cause.INTERRUPTED, "", (), how=How.FAILED)))
    assert "The run failed before its end." in page.text
    assert "a good end: catalog did not get healthy" in page.text
    assert "phases: the load never started" in page.text


def test_requests_without_spans_have_waterfalls_without_bars(tmp_path):
    page = Page(render(Demo(tmp_path / "dark", spans=False).write(), verdicts.held()))
    assert "No spans of this trace were recorded." in page.text
    assert "What broke first? acme checkout" in page.text


def test_requests_without_phases_are_drawn_on_an_axis_of_their_own(held):
    bare = held.manifest.model_copy(update={"windows": []})
    recording = type(held)(held.path)
    recording.manifest = bare
    page = Page(render(recording, NOTHING))
    assert page.of("figure", "heat")
    assert page.unbalanced == []


def test_the_report_appears_whole_in_the_run_folder(held):
    path = write_report(held.path, held, verdicts.held())
    assert path == held.path / "report.html"
    assert path.read_text(encoding="utf-8").endswith("</html>\n")
    assert not list(held.path.glob("*.partial"))


def test_rendering_twice_gives_the_same_page(held):
    assert render(held, verdicts.held()) == render(held, verdicts.held())
