"""One run: plan -> phases -> recording -> verdict."""
