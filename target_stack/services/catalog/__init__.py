"""Products and prices of each tenant: one shared table, kept apart by row-level security."""
