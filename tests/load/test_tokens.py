"""Tokens are asked for in time, and a failed renewal does no harm."""

import json

import pytest

from harness.load.answer import Answer
from harness.load.tokens import Tokens
from tests.load.jobs import job_of


def token_answer(lifetime_s=90):
    return Answer(200, json.dumps({"access_token": "t1", "expires_in": lifetime_s}).encode())


def test_a_token_is_due_at_first_and_again_at_two_thirds_of_its_life(tmp_path, clock):
    tokens = Tokens(job_of(tmp_path), clock)
    assert tokens.due(["acme"]) == ["acme"]
    assert tokens.fetch("acme", lambda _request: token_answer()) is None
    assert tokens.of("acme") == "t1"
    clock.pass_ms(59_999)
    assert tokens.due(["acme"]) == []
    clock.pass_ms(1)
    assert tokens.due(["acme"]) == ["acme"]


def test_a_renewal_that_fails_keeps_the_old_token_and_is_tried_again(tmp_path, clock):
    tokens = Tokens(job_of(tmp_path), clock)
    tokens.fetch("acme", lambda _request: token_answer())
    clock.pass_ms(60_000)
    problem = tokens.fetch("acme", lambda _request: Answer(error="timeout"))
    assert problem == "acme: POST /token: timeout"
    assert (tokens.of("acme"), tokens.due(["acme"])) == ("t1", [])
    clock.pass_ms(2_000)
    assert tokens.due(["acme"]) == ["acme"]


def test_a_token_without_a_lifetime_is_never_renewed(tmp_path, clock):
    tokens = Tokens(job_of(tmp_path), clock)
    tokens.fetch("acme", lambda _request: Answer(200, b'{"access_token": "t1"}'))
    clock.pass_ms(10**9)
    assert tokens.due(["acme"]) == []


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Answer(401), "acme: POST /token: answered 401, expected 200"),
        (Answer(200, b"{}"), "acme: POST /token: the answer holds no text at 'access_token'"),
        (Answer(200, b"?"), "acme: POST /token: the answer holds no text at 'access_token'"),
    ],
)
def test_what_went_wrong_with_a_token_is_said(tmp_path, clock, answer, problem):
    assert Tokens(job_of(tmp_path), clock).fetch("acme", lambda _request: answer) == problem
