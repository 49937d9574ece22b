"""What of a service can be killed, paused and limited. A unit is found again by its identity, in any process."""
