"""What is built of runs: a stack that stays up, and later proofs, gates and game days."""
