import pytest


def product(tenant: str, number: int) -> dict:
    return {
        "tenant": tenant,
        "sku": f"sku-{number}",
        "name": f"{tenant.title()} product {number}",
        "price_cents": 500 + 25 * number,
        "currency": "EUR",
    }


@pytest.mark.parametrize("tenant", ["acme", "globex", "initech"])
def test_each_tenant_sees_its_own_product(stack, tenant):
    reply = stack.call("GET", "/catalog/products/sku-7", tenant=tenant)
    assert (reply.status, reply.json) == (200, product(tenant, 7))


def test_the_list_pages_through_all_products_of_the_tenant(stack):
    seen, after = [], ""
    while after is not None:
        page = stack.call("GET", f"/catalog/products?limit=90&after={after}", tenant="globex").json
        assert page["tenant"] == "globex"
        seen += page["products"]
        after = page["next"]
    assert sorted(seen, key=str) == sorted((product("globex", number) for number in range(1, 201)), key=str)


@pytest.mark.parametrize("sku", ["sku-201", "SKU-1", "a'b", "%00", "%F0%9F%92%A9", "a" * 300])
def test_what_does_not_exist_is_not_found(stack, sku):
    reply = stack.call("GET", f"/catalog/products/{sku}", tenant="acme")
    assert (reply.status, reply.json["error"]) == (404, "not_found")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=1e9", "limit=-1", "after=%00", "limit=²"])
def test_bad_paging_is_the_clients_mistake(stack, query):
    reply = stack.call("GET", f"/catalog/products?{query}".replace("²", "%C2%B2"), tenant="acme")
    assert (reply.status, reply.json["error"]) == (400, "bad_request")


@pytest.mark.parametrize("tenant", ["acme", "globex", "initech"])
def test_the_price_history_is_the_tenants_own_and_newest_first(stack, tenant):
    changes = stack.call("GET", "/catalog/products/sku-7/history", tenant=tenant).json["changes"]
    assert {change["tenant"] for change in changes} == {tenant}
    moments = [change["changed_ns"] for change in changes if change["sku"] == "sku-7"]
    assert moments == sorted(moments, reverse=True)
    assert len(moments) == 20


@pytest.mark.parametrize("sku", ["sku-201", "a'b"])
def test_what_does_not_exist_has_no_history(stack, sku):
    assert stack.call("GET", f"/catalog/products/{sku}/history", tenant="acme").status == 404


def test_without_isolation_the_pool_shows_what_is_not_the_tenants(stack):
    stack.restart("catalog", PROOFS="on", PROTECTIONS_OFF="tenant_isolation")
    try:
        page = stack.call("GET", "/catalog/products?limit=50", tenant="initech").json
        assert {each["tenant"] for each in page["products"]} - {"initech"}
    finally:
        stack.restart("catalog")
    page = stack.call("GET", "/catalog/products?limit=50", tenant="initech").json
    assert {each["tenant"] for each in page["products"]} == {"initech"}


def test_whole_reads_of_a_table_are_counted(stack, until):
    def scans():
        return stack.metric("catalog", "postgres_table_seq_scans_total", table="price_history")

    before = until(lambda: scans() is not None and scans() + 1, "scans are counted") - 1
    stack.postgres.run("SELECT max(price_cents) FROM price_history", database="catalog")
    until(lambda: scans() > before, "one more scan is counted")
