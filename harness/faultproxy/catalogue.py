"""Every toxic there is."""

from harness.faultproxy.attributes import Attributes
from harness.faultproxy.toxics.bandwidth import Bandwidth
from harness.faultproxy.toxics.latency import Latency
from harness.faultproxy.toxics.limit_data import LimitData
from harness.faultproxy.toxics.noop import Noop
from harness.faultproxy.toxics.reset_peer import ResetPeer
from harness.faultproxy.toxics.slicer import Slicer
from harness.faultproxy.toxics.slow_close import SlowClose
from harness.faultproxy.toxics.timeout import Timeout

CATALOGUE: dict[str, type[Attributes]] = {
    "bandwidth": Bandwidth,
    "latency": Latency,
    "limit_data": LimitData,
    "noop": Noop,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "slow_close": SlowClose,
    "timeout": Timeout,
}
