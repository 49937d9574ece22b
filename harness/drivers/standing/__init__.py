"""A stack that `harness up` holds, and the driver that uses it without owning it."""
