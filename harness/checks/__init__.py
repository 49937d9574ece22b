"""Judging a recording: each check is a function from the facts of a run to findings; nothing here acts or measures."""
