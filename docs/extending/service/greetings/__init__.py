"""Greets customers in their own words: the smallest service of the sample stack."""
