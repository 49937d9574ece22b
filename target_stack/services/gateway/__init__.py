"""The front door: routes, tokens, per-tenant rate limit and concurrency bulkhead, deadlines, access log."""
