"""A payment provider, as third parties are: ours to call, not ours to mend."""
