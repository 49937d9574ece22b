"""One model of a recording, which checks and report share; nothing here judges, acts or measures."""
