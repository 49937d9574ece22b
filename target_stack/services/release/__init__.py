"""Ramps a new version of a service by flag, and takes it back by itself when it is worse than the old one."""
