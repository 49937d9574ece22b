"""`harness prove`: a protection counts when its absence hurts. Cases, outcomes on disk, and the matrix of both."""
