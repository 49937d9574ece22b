"""A need that a driver does not have is refused with both named."""

from harness.model.run.capabilities import Capability, missing, refusal

SOME = frozenset({Capability.KILL, Capability.PAUSE})


def test_what_a_driver_has_is_not_refused():
    assert refusal("pause", {Capability.PAUSE}, driver="external", has=SOME) == ""
    assert refusal("surge", (), driver="external", has=frozenset()) == ""


def test_what_a_driver_lacks_is_named_with_the_kind_and_the_driver():
    assert refusal("cpu_stress", {Capability.CPU_LIMIT}, driver="external", has=SOME) == (
        "cpu_stress needs 'cpu limit', which the driver 'external' does not have"
    )


def test_several_are_named_in_the_order_of_the_enum():
    needs = [Capability.MEMORY_LIMIT, Capability.KILL, Capability.FAULT_PROXY]
    assert missing(needs, SOME) == [Capability.FAULT_PROXY, Capability.MEMORY_LIMIT]
    assert refusal("all", needs, driver="d", has=SOME) == (
        "all needs 'fault proxy' and 'memory limit', which the driver 'd' does not have"
    )
