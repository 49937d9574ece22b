"""The run folder: the one place that knows files and columns."""
