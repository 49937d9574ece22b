"""What an answer means, without a network."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.load.answer import (
    Answer,
    Judged,
    error_code,
    judge,
    ledger_type,
    names_trace,
    parse_json,
    value_at,
    values_at,
)
from harness.model.files.target import Step
from harness.recording.columns import Outcome

DOCUMENT = {"tenant": "acme", "a": {"b": [{"c": 1}, {"c": 2}, {}]}, "none": [], "nested": [[{"x": 1}], [{"x": 2}]]}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("tenant", ["acme"]),
        ("a.b[].c", [1, 2, None]),
        ("none[].c", []),
        ("absent", [None]),
        ("absent[].c", [None]),
        ("tenant.deeper", [None]),
        ("tenant[]", [None]),
        ("nested[].[].x", [1, 2]),
    ],
)
def test_paths(path, found):
    assert values_at(DOCUMENT, path) == found
    assert value_at(DOCUMENT, path) == next(iter(found), None)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_document_can_be_asked_for_any_path(document):
    values_at(document, "a.b[].c")
    values_at(document, "[].a[]")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"error": "x", "trace_id": "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}', True),
        (b'{"error": "x", "trace_id": "0b0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"}', False),
        (b'{"error": "x"}', False),
        (b"<html>", False),
        (b"", False),
    ],
)
def test_an_error_names_its_own_trace_or_it_does_not(body, named):
    assert names_trace(Answer(503, body), "trace_id", b"\x0a" * 16) is named


def answer(status, body=None):
    return Answer(status, b"" if body is None else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("given", "judged"),
    [
        (answer(201, {"tenant": "acme"}), Judged(Outcome.OK)),
        (answer(201, {"tenant": "globex"}), Judged(Outcome.OK, foreign="globex")),
        (answer(201, {}), Judged(Outcome.FAILED, "watermark missing")),
        (answer(201), Judged(Outcome.FAILED, "watermark missing")),
        (Answer(201, b"<html>"), Judged(Outcome.FAILED, "watermark missing")),
        (answer(200, {"tenant": "acme"}), Judged(Outcome.FAILED, "status 200")),
        (answer(429, {"error": "rate_limited"}), Judged(Outcome.REFUSED, "rate_limited")),
        (answer(503), Judged(Outcome.REFUSED, "status 503")),
        (answer(500, {"error": {"code": 1}}), Judged(Outcome.FAILED, "status 500")),
        (Answer(error="timeout"), Judged(Outcome.UNKNOWN, "timeout")),
        (answer(500, {"tenant": "globex"}), Judged(Outcome.FAILED, "status 500", "globex")),
        (answer(503, {"rows": [{"tenant": "globex"}]}), Judged(Outcome.REFUSED, "status 503", "globex")),
        (answer(404, {"error": "gone", "tenant": "acme"}), Judged(Outcome.FAILED, "gone")),
        (answer(201, {"tenant": "acme", "also": [[{"tenant": "globex"}]]}), Judged(Outcome.OK, foreign="globex")),
        (answer(500, {"tenant": None, "rows": [{"tenant": "nobody we know"}]}), Judged(Outcome.FAILED, "status 500")),
    ],
)
def test_outcomes(given, judged):
    step = Step(name="order", path="/", expect=201, watermark="tenant")
    assert judge(given, step, tenant="acme", others=("acme", "globex")) == judged


@pytest.mark.parametrize(
    ("error", "outcome"),
    [("tls", Outcome.OK), ("connection reset", Outcome.OK), ("connection refused", Outcome.UNKNOWN)],
)
def test_a_port_on_which_nobody_listens_has_refused_nobody(error, outcome):
    judged = judge(Answer(error=error), Step(name="stranger", path="/", expect="refused"), tenant="acme")
    assert judged == Judged(outcome, error)


@pytest.mark.parametrize(
    ("body", "judged"),
    [
        (b"<html>Welcome</html>", Judged(Outcome.FAILED, "not JSON")),
        (b"", Judged(Outcome.FAILED, "not JSON")),
        (b'{"state": "sorry"}', Judged(Outcome.FAILED, "content missing")),
        (b'{"state": "placed"}', Judged(Outcome.OK)),
    ],
)
def test_an_answer_with_the_right_status_must_have_the_content_that_the_step_states(body, judged):
    step = Step(name="order", path="/", content="json", contains='"placed"')
    assert judge(Answer(200, body), step, tenant="acme") == judged


def test_a_page_in_place_of_an_acknowledgement_acknowledges_nothing():
    assert ledger_type(Answer(200, b"<html>"), Step(name="order", path="/", content="json")) == "unknown"


def test_one_unmarked_product_in_a_list_is_enough():
    step = Step(name="list", path="/", watermark="products[].tenant")
    listed = {"products": [{"tenant": "acme"}, {}, {"tenant": "globex"}]}
    assert judge(answer(200, listed), step, tenant="acme") == Judged(Outcome.FAILED, "watermark missing", "globex")
    assert judge(answer(200, {"products": []}), step, tenant="acme").outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("status", "believed"),
    [
        (201, "ok"),
        *((status, "fail") for status in (400, 409, 429)),
        *((status, "unknown") for status in (0, 200, 302, 500, 503, 504)),
    ],
)
def test_what_a_client_may_believe_of_a_write(status, believed):
    assert ledger_type(Answer(status), Step(name="order", path="/", expect=201)) == believed


@given(st.binary())
def test_any_body_can_be_looked_at(body):
    code = error_code(body)
    assert code is None or isinstance(parse_json(body), dict)


def test_long_error_codes_are_cut_and_long_bodies_left_alone():
    assert error_code(json.dumps({"error": "x" * 500}).encode()) == "x" * 80
    assert error_code(json.dumps({"error": "x", "rest": "y" * 70_000}).encode()) is None
