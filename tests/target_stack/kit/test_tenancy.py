import pytest

from target_stack.kit.tenancy import Tenant, parse_tenants


def test_tenants_are_parsed():
    raw = '{"acme": {"plan": "gold", "provider": "provider-a", "secret": "s"}}'
    assert parse_tenants(raw) == {"acme": Tenant("acme", "gold", "provider-a", "s")}


@pytest.mark.parametrize("name", ["", "Acme", "a'b", "a b", "1a", "a" * 41, "a;--"])
def test_names_that_could_harm_a_literal_are_refused(name):
    with pytest.raises(ValueError, match="TENANTS"):
        parse_tenants(f'{{"{name}": {{}}}}')
