"""Stock: reservations, and their release when an order does not come about."""
