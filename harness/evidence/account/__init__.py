"""Is the recording whole? What was recorded, against what others say must be there, signal by signal."""
