"""Runs the legacy service."""

from target_stack.kit.serving import serve
from target_stack.services.legacy.app import build

if __name__ == "__main__":
    serve(build)
