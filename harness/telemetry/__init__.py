"""What a run observes of its target: spans, metrics, the machine, logs. All of it ends in the recording."""
