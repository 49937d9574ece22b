"""Resilience test harness for multi-tenant systems: run, fault, record, judge."""
