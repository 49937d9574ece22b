"""Beats go on until they are stopped, and none is cut in the middle."""

import asyncio

import pytest

from harness.telemetry.beat import Beat


def test_the_beat_under_way_is_finished_and_none_follows():
    log = []

    async def main():
        begun = asyncio.Event()

        async def work():
            log.append("begun")
            begun.set()
            await asyncio.sleep(0.05)
            log.append("ended")

        beat = Beat(work, 0.001)
        beat.start()
        await begun.wait()
        await beat.stop()
        await beat.stop()
        await asyncio.sleep(0.02)

    asyncio.run(main())
    assert log == ["begun", "ended"]


def test_it_beats_again_and_again():
    async def main():
        enough = asyncio.Event()
        beats = []

        async def work():
            beats.append(1)
            if len(beats) == 5:
                enough.set()

        beat = Beat(work, 0.001)
        beat.start()
        await asyncio.wait_for(enough.wait(), 20)
        await beat.stop()

    asyncio.run(main())


def test_what_the_work_raises_is_raised_when_it_is_stopped():
    async def main():
        failed = asyncio.Event()

        async def work():
            failed.set()
            msg = "broken"
            raise RuntimeError(msg)

        beat = Beat(work, 0.001)
        beat.start()
        await failed.wait()
        await beat.stop()

    with pytest.raises(RuntimeError, match="broken"):
        asyncio.run(main())


def test_the_first_beat_may_come_sooner_than_the_others():
    async def main():
        begun = asyncio.Event()

        async def work():
            begun.set()

        beat = Beat(work, 3600, first_after_s=0)
        beat.start()
        await asyncio.wait_for(begun.wait(), 20)
        await beat.stop()

    asyncio.run(main())
