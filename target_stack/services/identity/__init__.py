"""Tenants, users and roles; issues the tokens that every service verifies."""
