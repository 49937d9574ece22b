"""Access to a fault proxy, embedded or foreign: each call with a time limit."""
