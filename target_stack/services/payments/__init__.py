"""Payments through the external provider of each tenant, with a breaker and a bulkhead for each provider."""
