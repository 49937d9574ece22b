"""What a run is made of: plan, events, clock."""
