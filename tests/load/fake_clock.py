"""A clock that tests turn."""

from harness.model.run.clock import NS_PER_MS, NS_PER_S

START_NS = 1_000 * NS_PER_S


class FakeClock:
    def __init__(self, now_ns=START_NS):
        self.ns = now_ns

    def now_ns(self):
        return self.ns

    def pass_ms(self, ms):
        self.ns += ms * NS_PER_MS
