def test_an_order_is_priced_paid_and_listed(stack):
    reply = stack.order("acme", key="listed", items=[{"sku": "sku-2", "quantity": 3}])
    assert reply.status == 201, reply.body
