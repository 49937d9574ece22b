"""What users write: scenario.yaml and target.yaml, read with positions."""
