"""Billing, extracted from the monolith: its own store and model, and one file (acl.py) that knows the monolith's."""
