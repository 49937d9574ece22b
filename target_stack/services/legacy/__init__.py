"""The monolith: invoices in a model of its own (codes, cents as text, local dates, anything may be missing)."""
