"""The promise that no fault outlives the harness: acts, leases, the undo journal, the reaper, recover and abort."""
