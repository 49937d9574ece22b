"""One small file per toxic: its attributes and the stage that applies them."""
