"""What the whole harness speaks, typed: scenario, target, plan, event, finding, verdict. Its only I/O: reading YAML."""
