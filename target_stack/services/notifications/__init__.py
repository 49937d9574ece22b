"""Tells a tenant's customers about their orders, fed by events: its failure never reaches checkout."""
