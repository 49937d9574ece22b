"""Faults, and the promise that none outlives the harness: injectors, leases, the undo journal and its reaper."""
