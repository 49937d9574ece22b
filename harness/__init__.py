"""Resilience test harness for multi-tenant systems."""
