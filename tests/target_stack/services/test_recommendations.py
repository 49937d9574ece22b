"""What is nice to have beside an order: useful when it is there, never missed when it is not."""

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from target_stack.services.recommendations.domain import MOST_PARTNERS, Affinity

SKUS = st.lists(st.integers(1, 9).map("sku-{}".format), min_size=1, max_size=5)


def test_what_was_bought_together_is_recommended_before_what_sells():
    affinity = Affinity()
    for skus in (["a", "b"], ["a", "b"], ["a", "c"], ["x", "y"], ["x", "y"], ["x", "y"]):
        affinity.learn(skus)
    assert affinity.recommend(["a"], 4) == ["b", "c", "x", "y"]


@given(st.lists(SKUS), SKUS, st.integers(0, 5))
def test_nothing_is_recommended_twice_nor_what_was_asked_for(orders, asked, count):
    affinity = Affinity()
    for order in orders:
        affinity.learn(order)
    found = affinity.recommend(asked, count)
    assert len(found) <= count
    assert len(found) == len(set(found))
    assert not set(found) & set(asked)
    assert set(found) <= {sku for order in orders for sku in order}


def test_it_stays_small():
    affinity = Affinity()
    for number in range(1000):
        affinity.learn(["a", f"sku-{number}"])
    assert len(affinity._partners["a"]) <= 2 * MOST_PARTNERS + 1


def test_an_order_comes_with_what_its_own_tenant_bought_along(stack):
    pair = [{"sku": "sku-150", "quantity": 1}, {"sku": "sku-151", "quantity": 1}]
    for _ in range(3):
        assert stack.order("initech", items=pair).status == 201
    mine = stack.order("initech", items=pair[:1]).json["recommended"]
    theirs = stack.order("globex", items=pair[:1]).json["recommended"]
    assert "sku-151" in mine
    assert "sku-151" not in theirs


def test_checkout_does_without_recommendations_that_hang_or_are_gone(stack):
    with stack.paused("recommendations"), ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: stack.order("globex"), range(24)))
    assert {(reply.status, *reply.json["recommended"]) for reply in replies} == {(201,)}
    stack.stop("recommendations")
    try:
        assert stack.order("globex").json["recommended"] == []
    finally:
        stack.start("recommendations")
        stack.wait("recommendations")


def test_without_the_protection_a_checkout_waits_for_what_it_could_do_without(stack):
    stack.restart("orders", PROOFS="on", PROTECTIONS_OFF="recommendations_bulkhead")
    try:
        assert stack.order("globex").status == 201
        with stack.paused("recommendations"):
            assert stack.order("globex").status == 504
    finally:
        stack.restart("orders")
