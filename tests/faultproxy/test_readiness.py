"""Readiness of sockets, on a real loop."""

import asyncio
import socket

from harness.faultproxy.readiness import ProxyLoop


def watched(scenario):
    """Run *scenario* with a readiness and a connected pair of sockets."""

    async def run():
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            async with asyncio.timeout(20):
                return await scenario(asyncio.get_running_loop().readiness, ours, theirs)

    with asyncio.Runner(loop_factory=ProxyLoop) as runner:
        return runner.run(run())


def test_it_calls_for_bytes_until_told_to_stop():
    async def scenario(readiness, ours, theirs):
        got = asyncio.Queue()
        readiness.on_readable(ours.fileno(), lambda: got.put_nowait(ours.recv(1)))
        theirs.send(b"ab")
        both = [await got.get(), await got.get()]
        readiness.on_readable(ours.fileno(), None)
        theirs.send(b"c")
        await asyncio.sleep(0.02)
        return both, got.empty()

    assert watched(scenario) == ([b"a", b"b"], True)


def test_reading_and_writing_are_independent_wishes():
    async def scenario(readiness, ours, theirs):
        calls = []
        readiness.on_readable(ours.fileno(), lambda: calls.append("read"))
        readiness.on_writable(ours.fileno(), lambda: calls.append("write"))
        await asyncio.sleep(0.02)
        readiness.on_writable(ours.fileno(), None)
        before = set(calls)
        theirs.send(b"x")
        await asyncio.sleep(0.02)
        return before, set(calls)

    assert watched(scenario) == ({"write"}, {"write", "read"})


def test_a_callback_that_raises_is_dropped_and_others_live_on(capsys):
    async def scenario(readiness, ours, theirs):
        calls = []

        def broken():
            calls.append("broken")
            raise RuntimeError("bug")

        readiness.on_readable(ours.fileno(), broken)
        readiness.on_writable(theirs.fileno(), lambda: calls.append("other"))
        theirs.send(b"x")
        await asyncio.sleep(0.05)
        return calls.count("broken"), "other" in calls

    assert watched(scenario) == (1, True)
    assert "RuntimeError: bug" in capsys.readouterr().err


def test_what_a_callback_schedules_runs_though_nothing_else_happens():
    async def scenario(readiness, ours, theirs):
        loop, calls = asyncio.get_running_loop(), []
        done = asyncio.Event()

        def on_bytes():
            calls.append(ours.recv(1))
            loop.call_soon(calls.append, "soon")
            loop.call_later(0.001, done.set)

        readiness.on_readable(ours.fileno(), on_bytes)
        theirs.send(b"x")
        await done.wait()
        return calls

    assert watched(scenario) == [b"x", "soon"]


def test_a_forgotten_descriptor_can_be_closed_and_its_number_used_again():
    async def scenario(readiness, ours, theirs):
        readiness.on_readable(ours.fileno(), lambda: None)
        number = ours.fileno()
        readiness.forget(number)
        ours.close()
        left, right = socket.socketpair()
        with left, right:
            got = asyncio.Event()
            readiness.on_readable(left.fileno(), got.set)
            right.send(b"x")
            await got.wait()
            readiness.on_readable(left.fileno(), None)
            return left.fileno() == number

    assert watched(scenario)
