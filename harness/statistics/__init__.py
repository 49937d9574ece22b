"""Shares, quantiles and ratios with intervals that hold in small samples; pure, seeded, no I/O."""
