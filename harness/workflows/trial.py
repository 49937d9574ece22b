"""One run and its judgement, as a function: what `harness run`, a proof, a gate and a user's pytest have in common.

It touches no signal and prints nothing: it may be called from any loop, and `run_trial` from any thread.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.drivers.standing.stack import StandingStack
from harness.model.errors import ExitCode, HarnessError
from harness.model.result.finding import Verdict
from harness.model.run.plan import Plan
from harness.runner.engine import ProgressListener, nothing_to_show, run_plan
from harness.runner.interruption import Interruption
from harness.runner.session import Listener
from harness.workflows.judgement import Judged, judge_and_draw


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one run; `error` is what to show where it did not end as planned."""

    run: Path
    judged: Judged
    error: HarnessError | None = None

    @property
    def verdict(self) -> Verdict:
        """The answer."""
        return self.judged.verdict

    @property
    def exit_code(self) -> ExitCode:
        """The documented exit code.

        A run that failed says so even where it could not be recorded; an unconfirmed rollback outweighs all.
        """
        judged = self.verdict.exit_code
        if self.error is None:
            return judged
        either = (judged, self.error.exit_code)
        return ExitCode.NOT_ROLLED_BACK if ExitCode.NOT_ROLLED_BACK in either else self.error.exit_code

    @property
    def held(self) -> bool:
        """True where the claim held."""
        return self.exit_code is ExitCode.HELD


async def run_and_judge(
    plan: Plan,
    *,
    runs: Path,
    command: Sequence[str] = (),
    listeners: Sequence[Listener] = (),
    on_progress: ProgressListener = nothing_to_show,
    interruption: Interruption | None = None,
    on: StandingStack | None = None,
    share: bool = False,
) -> Trial:
    """Run *plan* below *runs*, judge the recording, write verdict and report beside it.

    Cancelling rolls back, closes the recording and goes on as CancelledError; with an *interruption* that was received
    the run ends as interrupted and is judged.

    Raises:
        HarnessError: nothing could be recorded or written.
    """
    ran = await run_plan(
        plan,
        runs=runs,
        command=command,
        listeners=listeners,
        on_progress=on_progress,
        interruption=interruption,
        on=on,
        share=share,
    )
    try:
        return Trial(ran.path, await asyncio.to_thread(judge_and_draw, ran.path), ran.error)
    except HarnessError as problem:
        raise ran.error or problem from problem  # what cannot be judged hides nothing that the run itself ended with


def run_trial(plan: Plan, *, runs: Path, on: StandingStack | None = None) -> Trial:
    """Do the same from code that has no loop, or is called inside somebody's: then in a thread with its own."""
    if not _is_in_a_loop():
        return asyncio.run(run_and_judge(plan, runs=runs, on=on))
    with ThreadPoolExecutor(1, thread_name_prefix="trial") as thread:
        loop = asyncio.new_event_loop()
        task = loop.create_task(run_and_judge(plan, runs=runs, on=on))
        running = thread.submit(_run_in, loop, task)
        try:
            return running.result()
        except BaseException:
            with contextlib.suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(task.cancel)
            raise


def _is_in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_in(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Trial]") -> Trial:
    try:
        return loop.run_until_complete(task)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
