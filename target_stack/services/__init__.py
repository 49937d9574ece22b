"""The services of the sample stack, one folder each."""
