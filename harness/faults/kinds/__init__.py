"""Kinds of faults and the injectors that make them real."""
