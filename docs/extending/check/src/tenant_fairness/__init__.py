"""A check that no tenant is served much more slowly than another."""
