"""A fault that lowers the quota of a tenant."""
