"""The load process: tokens, then every arrival when it is due, then the ledgers; rows and counts all the while."""

import gc
import json
import os
import signal
import sys
import traceback
from bisect import bisect_right
from functools import partial
from pathlib import Path

import gevent
from gevent.event import Event as Flag
from gevent.pool import Group
from gevent.threadpool import ThreadPool
from locust.env import Environment

from harness.load.arrivals import arrivals_of, surges_of
from harness.load.channel import Channel
from harness.load.crowd import Crowd
from harness.load.direct import DirectDoors
from harness.load.halt import CRASHED, NO_TOKENS, Halt
from harness.load.http_client import OneTryPool, OneTrySession
from harness.load.job import LoadJob
from harness.load.player import Player
from harness.load.read_back import ReadBack
from harness.load.recorder import Recorder
from harness.load.tally import Tally
from harness.load.tokens import Tokens
from harness.load.user import ArrivalUser
from harness.model.files.scenario import Phase
from harness.model.run.clock import NS_PER_S
from harness.model.run.events import Kind
from harness.recording.columns import Table
from harness.recording.row_sink import RowSink

_TOKEN_PATIENCE_S = 6.0
_TOKEN_PAUSE_S = 0.3
_LEDGER_LIMIT_S = 10.0
_BEAT_S = 0.02


class Generator:
    """One run of a job, from start to exit code."""

    def __init__(self, job: LoadJob) -> None:
        self._job = job
        self._plan = job.plan
        self._clock = job.anchor.clock()
        self._halt = Halt()
        self._done = Flag()
        self._say = Channel(sys.stdout, self._clock, on_broken=self._halt.orphan)
        self._tally = Tally(surges=surges_of(job.plan), is_guarded=bool(job.plan.scenario.guardrails))
        requests, ledger = (RowSink(Path(job.run), table, source="load-0") for table in (Table.REQUESTS, Table.LEDGER))
        self._sinks = (requests, ledger)
        self._disk = ThreadPool(1)  # one write after the other, none of them in the thread that keeps time
        self._recorder = Recorder(
            requests=requests,
            ledger=ledger,
            tally=self._tally,
            clock=self._clock,
            error_trace=self._plan.target.error_trace,
        )
        self._environment = Environment(host=job.base_url, catch_exceptions=False)
        self._tokens = Tokens(job, self._clock)
        self._player = Player(job, clock=self._clock, recorder=self._recorder, token_of=self._tokens.of)
        self._tenants = list(self._plan.scenario.load)
        self._phase_starts_ns = [int(job.plan.offset_s(phase) * NS_PER_S) for phase in Phase]
        self._doors = DirectDoors(job.service_urls, job.identities)
        self._users = Group()
        self._timeout_s = max(
            self._plan.target.flows[f].timeout for load in self._plan.scenario.load.values() for f in load
        )
        self._pools = {tenant: self._pool() for tenant in self._tenants}
        self._crowds = {tenant: self._crowd(tenant) for tenant in self._tenants}

    def run(self) -> int:
        """Generate the load; return the exit code of the process."""
        gevent.signal_handler(signal.SIGTERM, self._halt.terminate)
        self._in_background(self._halt.watch_parent)
        if not self._fetch_tokens():
            return NO_TOKENS
        self._say.event(Kind.LOAD_STARTED, pid=os.getpid())
        seconds = self._in_background(self._each_second)
        self._in_background(self._renew_tokens)
        self._read_what_is_there()
        self._offer_arrivals()
        self._drain()
        self._read_ledgers()
        self._done.set()
        seconds.join()
        return self._end()

    def _offer_arrivals(self) -> None:
        """Hand out each arrival when it is due, whatever became of those before."""
        gc.collect()
        gc.freeze()  # what lives now lives to the end: no collection need look at it again
        gc.set_threshold(50_000, 20, 50)
        for arrival in arrivals_of(self._plan):
            if self._sleep_until(self._job.start_ns + arrival.due_ns):
                return
            self._tally.arrivals += 1
            self._tally.due[arrival.tenant, arrival.flow, self._phase_of(arrival.due_ns)] += 1
            self._crowds[arrival.tenant].offer(arrival)
        self._sleep_until(self._job.start_ns + int(self._plan.phases.total_s * NS_PER_S))

    def _drain(self) -> None:
        """Let requests under way end; what outlasts the limit becomes a row without an answer."""
        until_ns = self._in_ns(self._timeout_s)
        while self._is_busy() and self._clock.now_ns() < until_ns and not self._halt.asked.wait(_BEAT_S):
            pass
        until_ns = min(until_ns, self._in_ns(self._halt.grace_s))
        while self._is_busy() and self._clock.now_ns() < until_ns:
            gevent.sleep(_BEAT_S)
        cause = "interrupted" if self._halt.asked.is_set() else "timeout"
        self._users.kill(exception=gevent.GreenletExit(cause), block=True, timeout=1)
        for crowd in self._crowds.values():
            for arrival in crowd.left():
                self._player.drop(arrival)

    def _is_busy(self) -> bool:
        return self._tally.in_flight > 0 or any(crowd.backlog for crowd in self._crowds.values())

    def _read_what_is_there(self) -> None:
        """Read the ledgers that cannot be asked for this run alone, before it writes anything."""
        reads = self._read_back().start_before(lambda tenant: self._session(tenant).send)
        self._wait_for(reads, self._in_ns(_LEDGER_LIMIT_S))

    def _read_ledgers(self) -> None:
        """Read back what the target holds, unless the load ends early; within a time limit."""
        if self._halt.asked.is_set():
            return
        reads = self._read_back().start(lambda tenant: self._session(tenant).send)
        patience_s = max((ledger.within for ledger in self._plan.target.ledgers.values()), default=0.0)
        self._wait_for(reads, self._in_ns(_LEDGER_LIMIT_S + patience_s))

    def _read_back(self) -> ReadBack:
        return ReadBack(self._job, tokens=self._tokens, recorder=self._recorder, say=self._say)

    def _wait_for(self, reads: list[gevent.Greenlet], until_ns: int) -> None:
        while not all(r.ready() for r in reads) and self._clock.now_ns() < until_ns:
            if self._halt.asked.wait(_BEAT_S):
                break
        gevent.killall(reads)

    def _end(self) -> int:
        """Write the last rows, say what was lost, and how it all went."""
        self._flush()
        for sink in self._sinks:
            if sink.lost:
                self._say.event(Kind.TELEMETRY_LOST, what=sink.table.value, count=sink.lost)
        for surge in self._tally.surges:
            sent = self._tally.surge_sent[surge.fault]
            self._say.event(Kind.SURGE_DELIVERED, fault=surge.fault, tenant=surge.tenant, requests=sent)
        tally, code = self._tally, self._halt.code
        counts = {"arrivals": tally.arrivals, "sent": tally.sent, "late": tally.late, "dropped": tally.dropped}
        if self._plan.target.error_trace:
            counts |= {"error_answers": tally.error_answers, "untraceable": tally.untraceable}
        by_pair = json.dumps([[*place, due] for place, due in tally.due.items()])
        self._say.event(Kind.LOAD_ENDED, **counts, by_pair=by_pair, code=code)
        return code

    def _each_second(self) -> None:
        while not self._done.wait(1.0):
            self._say.progress(self._tally.take_second(self._tenants))
            self._flush()

    def _flush(self) -> None:
        for sink in self._sinks:
            problem = self._disk.apply(sink.write, (sink.take(),))
            if problem:
                print(f"{sink.table.value}: {sink.unwritten} rows cannot be written: {problem}", file=sys.stderr)

    def _fetch_tokens(self) -> bool:
        """Get every tenant's token; False, with the reasons on stderr, if one cannot be had in time."""
        until_ns = self._in_ns(_TOKEN_PATIENCE_S)
        while (lacking := self._tokens.due(self._tenants)) and not self._halt.asked.is_set():
            asked = gevent.joinall([gevent.spawn(self._fetch_token, tenant) for tenant in lacking])
            problems = [job.value for job in asked if job.value]
            if problems and self._clock.now_ns() > until_ns:
                print("no token:", *problems, sep="\n", file=sys.stderr)
                return False
            if problems:
                self._halt.asked.wait(_TOKEN_PAUSE_S)
        return True

    def _renew_tokens(self) -> None:
        while not self._done.wait(0.25):
            for tenant in self._tokens.due(self._tenants):
                problem = self._fetch_token(tenant)
                if problem:
                    print(f"token not renewed, the old one stays: {problem}", file=sys.stderr)

    def _fetch_token(self, tenant: str) -> str | None:
        return self._tokens.fetch(tenant, self._session(tenant).send)

    def _phase_of(self, due_ns: int) -> str:
        """Return the name of the phase in which an arrival is due."""
        return list(Phase)[bisect_right(self._phase_starts_ns, due_ns) - 1].value

    def _sleep_until(self, at_ns: int) -> bool:
        """Wait for a time; return True, at once, if the load has to end early."""
        wait_s = (at_ns - self._clock.now_ns()) / NS_PER_S
        return bool(self._halt.asked.wait(wait_s)) if wait_s > 0 else self._halt.asked.is_set()

    def _in_ns(self, seconds: float) -> int:
        return self._clock.now_ns() + int(seconds * NS_PER_S)

    def _in_background(self, work: object) -> gevent.Greenlet:
        greenlet = gevent.spawn(work)
        greenlet.link_exception(self._halt.crash)
        return greenlet

    def _session(self, tenant: str) -> OneTrySession:
        return OneTrySession(self._job.base_url, self._environment, self._pools[tenant])

    def _pool(self) -> OneTryPool:
        return OneTryPool(connections=self._job.most_in_flight + 10, timeout_s=self._timeout_s + 1)

    def _crowd(self, tenant: str) -> Crowd:
        return Crowd(partial(self._join, tenant), most_users=self._job.most_in_flight)

    def _join(self, tenant: str) -> None:
        """Let another user of *tenant* in."""
        crowd, pool = self._crowds[tenant], self._pools[tenant]
        user = ArrivalUser(
            self._environment, self._job.base_url, pool=pool, doors=self._doors, crowd=crowd, player=self._player
        )
        user.start(self._users).link_exception(self._halt.crash)


def main(arguments: list[str]) -> int:
    """Run the job in the file that is the only argument; return the exit code."""
    try:
        job = LoadJob.take(Path(arguments[0]))
    except (IndexError, OSError, ValueError) as error:
        print(f"usage: python -m harness.load JOB.json ({error})", file=sys.stderr)
        return CRASHED
    try:
        return Generator(job).run()
    except Exception:  # noqa: BLE001 - the parent learns it from the exit code, and why from stderr
        traceback.print_exc()
        return CRASHED
