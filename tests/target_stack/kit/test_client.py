"""A client against a real HTTP server in the same loop, which answers from a script."""

import asyncio
import contextlib
from collections.abc import Callable

import aiohttp
import pytest
from aiohttp import web

from target_stack.kit.breaker import Breaker, BreakerOpenError, BreakerSettings, BreakerState
from target_stack.kit.bulkhead import Bulkhead, BulkheadFullError, BulkheadSettings
from target_stack.kit.call_context import CallContext, Caller, set_context
from target_stack.kit.client import Answer, Call, LinkError, LinkSettings, ServiceClient
from target_stack.kit.clock import SystemClock
from target_stack.kit.deadline import Deadline, DeadlineExceededError
from target_stack.kit.metrics import Metrics
from target_stack.kit.recorder import Recorder
from target_stack.kit.retry import Backoff, RetryBudget, RetryPolicy
from target_stack.kit.telemetry import Tracing

HANG = "hang"
CLOCK = SystemClock()
GET = Call("GET", "/thing?x=1", "/thing", idempotent=True)
CALLER = Caller("acme", "acme/app", frozenset({"tenant_user"}), "the-token")
QUICK_RETRIES = RetryPolicy(max_attempts=3, backoff=Backoff(base_s=0.001), min_attempt_s=0.001)
TOUCHY = BreakerSettings(min_calls=2, slow_call_s=60, open_s=30)


class Callee:
    """Answers each request with the next line of its script, the last line for ever."""

    def __init__(self, *script) -> None:
        self.script = list(script)
        self.seen: list[dict[str, str]] = []
        self.arrivals: asyncio.Queue[None] = asyncio.Queue()

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        self.arrivals.put_nowait(None)
        line = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if line == HANG:
            await asyncio.sleep(60)
        status, headers = line if isinstance(line, tuple) else (line, {})
        return web.Response(status=status, headers=headers, text='{"ok": true}')


class Scene:
    def __init__(self, callee: Callee, port: int, session: aiohttp.ClientSession, **settings) -> None:
        self.callee = callee
        self.metrics = Metrics()
        recorder = Recorder(Tracing("a", None), self.metrics)
        if isinstance(bulkhead := settings.get("bulkhead"), BulkheadSettings):
            settings["bulkhead"] = Bulkhead("a -> b", bulkhead, recorder.bulkhead)
        if isinstance(breaker := settings.get("breaker"), BreakerSettings):
            settings["breaker"] = Breaker("a -> b", breaker, CLOCK, recorder.breaker)
        self.settings = LinkSettings(**{"attempt_timeout_s": 5.0, **settings})
        self.client = ServiceClient(
            caller="a",
            callee="b",
            url=f"http://127.0.0.1:{port}",
            settings=self.settings,
            session=session,
            clock=CLOCK,
            tracing=Tracing("a", None),
            metrics=self.metrics,
            recorder=recorder,
        )

    def count(self, name: str, /, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def play(story: Callable, *script, deadline_s: float | None = None, caller=CALLER, **settings):
    """Run *story* with a client whose callee follows *script*."""

    async def stage():
        callee = Callee(*script)
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", callee.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.01)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        limit = Deadline.unlimited(CLOCK) if deadline_s is None else Deadline.after(deadline_s, CLOCK)
        set_context(CallContext(limit, caller))
        try:
            async with aiohttp.ClientSession() as session:
                return await story(Scene(callee, port, session, **settings))
        finally:
            await runner.cleanup()

    return asyncio.run(asyncio.wait_for(stage(), 30))


def test_an_answer_is_an_answer_whatever_its_status():
    async def story(scene):
        answer = await scene.client.call(GET)
        return answer.status, answer.json(), len(scene.callee.seen)

    assert play(story, 404, retry=QUICK_RETRIES) == (404, {"ok": True}, 1)


def test_tenant_token_deadline_and_trace_travel_along():
    async def story(scene):
        await scene.client.call(GET)
        return scene.callee.seen[0]

    seen = play(story, 200, deadline_s=2.0)
    assert seen["x-tenant-id"] == "acme"
    assert seen["authorization"] == "Bearer the-token"
    assert 0 < int(seen["x-deadline-ms"]) < 2000
    assert len(seen["traceparent"]) == 55


def test_the_callee_is_told_no_more_time_than_this_attempt_has():
    async def story(scene):
        await scene.client.call(GET)
        return int(scene.callee.seen[0]["x-deadline-ms"])

    assert play(story, 200, deadline_s=60.0, attempt_timeout_s=1.0) == 1000


def test_third_parties_get_neither_token_nor_deadline():
    async def story(scene):
        await scene.client.call(GET)
        return set(scene.callee.seen[0]) & {"authorization", "x-deadline-ms"}

    assert play(story, 200, deadline_s=2.0, third_party=True) == set()


def test_transient_failures_are_tried_again_until_one_succeeds():
    async def story(scene):
        answer = await scene.client.call(GET)
        attempts = [scene.count("resilience_retry_attempts_total", link="a -> b", attempt=str(n)) for n in range(4)]
        return answer.status, attempts

    assert play(story, 503, 502, 200, retry=QUICK_RETRIES) == (200, [1, 1, 1, 0])


def test_the_last_answer_is_returned_when_attempts_run_out():
    async def story(scene):
        return (await scene.client.call(GET)).status, len(scene.callee.seen)

    assert play(story, 503, retry=QUICK_RETRIES) == (503, 3)


def test_what_is_not_idempotent_is_sent_once():
    async def story(scene):
        await scene.client.call(Call("POST", "/thing", "/thing"))
        return len(scene.callee.seen), scene.count(
            "resilience_retry_refused_total", link="a -> b", reason="not_idempotent"
        )

    assert play(story, 503, retry=QUICK_RETRIES) == (1, 1)


def test_a_spent_budget_stops_retries():
    budget = RetryBudget(ratio=0.0, reserve=1)
    policy = RetryPolicy(max_attempts=3, backoff=Backoff(base_s=0.001), budget=budget)

    async def story(scene):
        await scene.client.call(GET)
        return len(scene.callee.seen), scene.count("resilience_retry_refused_total", link="a -> b", reason="budget")

    assert play(story, 503, retry=policy) == (2, 1)


def test_a_callee_that_asks_for_a_long_pause_is_left_alone():
    async def story(scene):
        return (await scene.client.call(GET)).status, len(scene.callee.seen)

    assert play(story, (503, {"Retry-After": "2"}), retry=QUICK_RETRIES) == (503, 1)


def test_an_attempt_times_out():
    async def story(scene):
        with pytest.raises(LinkError) as failure:
            await scene.client.call(GET)
        return failure.value.error_type

    assert play(story, HANG, attempt_timeout_s=0.05) == "timeout"


def test_nothing_is_sent_when_the_deadline_is_over():
    async def story(scene):
        with pytest.raises(DeadlineExceededError):
            await scene.client.call(GET)
        return len(scene.callee.seen)

    assert play(story, 200, deadline_s=0.0) == 0


def test_an_unreachable_callee_is_a_link_error():
    async def story(scene):
        scene.client._url = "http://127.0.0.1:1"
        with pytest.raises(LinkError) as failure:
            await scene.client.call(GET)
        return failure.value.error_type

    assert play(story, 200) == "ClientConnectorError"


def test_an_open_breaker_keeps_calls_off_the_link():
    async def story(scene):
        for _ in range(2):
            await scene.client.call(GET)
        with pytest.raises(BreakerOpenError):
            await scene.client.call(GET)
        return len(scene.callee.seen), scene.count("resilience_breaker_state", name="a -> b")

    assert play(story, 500, breaker=TOUCHY) == (2, 2)


def test_timeouts_open_the_breaker():
    async def story(scene):
        for _ in range(2):
            with pytest.raises(LinkError):
                await scene.client.call(GET)
        return scene.settings.breaker.state

    assert play(story, HANG, attempt_timeout_s=0.05, breaker=TOUCHY) is BreakerState.OPEN


@pytest.mark.parametrize("answer", [200, 404, 429, (503, {"x-failed-dependency": "provider-a"})])
def test_answers_of_a_healthy_callee_do_not_open_the_breaker(answer):
    async def story(scene):
        for _ in range(5):
            await scene.client.call(GET)
        return scene.settings.breaker.state

    assert play(story, answer, breaker=TOUCHY) is BreakerState.CLOSED


def test_attempts_that_our_own_deadline_cut_short_do_not_open_the_breaker():
    async def story(scene):
        for _ in range(5):
            set_context(CallContext(Deadline.after(0.1, CLOCK), CALLER))
            with pytest.raises(LinkError):
                await scene.client.call(GET)
        return scene.settings.breaker.state

    assert play(story, HANG, attempt_timeout_s=5.0, breaker=TOUCHY) is BreakerState.CLOSED


@contextlib.asynccontextmanager
async def call_under_way(scene):
    """A call that its callee has seen and does not answer; its caller cancels it in the end."""
    call = asyncio.create_task(scene.client.call(GET))
    await scene.callee.arrivals.get()
    try:
        yield
    finally:
        call.cancel()
        await asyncio.wait([call])


def test_calls_that_the_caller_cancels_do_not_open_the_breaker():
    async def story(scene):
        for _ in range(5):
            async with call_under_way(scene):
                pass
        return scene.settings.breaker.state

    assert play(story, HANG, breaker=TOUCHY) is BreakerState.CLOSED


def test_a_full_bulkhead_keeps_calls_off_the_link_and_gives_places_back():
    async def story(scene):
        async with call_under_way(scene):
            with pytest.raises(BulkheadFullError):
                await scene.client.call(GET)
        return len(scene.callee.seen), (await scene.client.call(GET)).status, scene.settings.bulkhead.in_use

    assert play(story, HANG, 200, bulkhead=BulkheadSettings(limit=1)) == (1, 200, 0)


def test_one_tenant_gets_but_its_share_of_the_places():
    async def story(scene):
        async with call_under_way(scene):
            with pytest.raises(BulkheadFullError):
                await scene.client.call(GET)
            set_context(CallContext(Deadline.unlimited(CLOCK), Caller("globex", "globex/app", frozenset(), "a-token")))
            status = (await scene.client.call(GET)).status
        return status, scene.settings.bulkhead.in_use, scene.settings.bulkhead_of["acme"].in_use

    shares = {"acme": Bulkhead("a -> b [acme]", BulkheadSettings(limit=1), lambda _: None)}
    assert play(story, HANG, 200, bulkhead=BulkheadSettings(limit=2), bulkhead_of=shares) == (200, 0, 0)


def test_refusals_by_the_breaker_are_not_retried():
    async def story(scene):
        with pytest.raises(BreakerOpenError):
            await scene.client.call(GET)
        return len(scene.callee.seen)

    policy = RetryPolicy(max_attempts=10, backoff=Backoff(base_s=0.001), min_attempt_s=0.001)
    assert play(story, 503, breaker=TOUCHY, retry=policy) == 2


@pytest.mark.parametrize(("raw", "seconds"), [("3", 3.0), ("", 0.0), ("Wed, 21 Oct", 0.0), ("-1", 0.0)])
def test_retry_after_is_read_in_seconds(raw, seconds):
    assert Answer(503, {"Retry-After": raw}, b"").retry_after_s() == seconds
