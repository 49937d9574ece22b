import pytest

from target_stack.kit.protections import Protection, Protections, read_protections


def test_all_protections_are_on_by_default():
    assert read_protections({}) == Protections(frozenset())


def test_named_protections_are_off_while_proving():
    protections = read_protections({"PROOFS": "on", "PROTECTIONS_OFF": "breaker, retry_budget"})
    assert [each for each in Protection if not protections.on(each)] == [Protection.BREAKER, Protection.RETRY_BUDGET]


@pytest.mark.parametrize("proofs", [{}, {"PROOFS": ""}, {"PROOFS": "off"}, {"PROOFS": "ON"}])
def test_outside_of_proofs_the_switch_is_dead(proofs):
    assert read_protections({**proofs, "PROTECTIONS_OFF": "breaker"}) == Protections(frozenset())


def test_an_unknown_protection_is_an_error():
    with pytest.raises(ValueError, match="braker"):
        read_protections({"PROOFS": "on", "PROTECTIONS_OFF": "braker"})
