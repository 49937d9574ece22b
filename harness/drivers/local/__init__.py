"""The driver that runs a target as processes of this machine."""
