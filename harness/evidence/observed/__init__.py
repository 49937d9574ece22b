"""What each fault of a run really did: how long it was there, which calls show it, whose requests met it."""
