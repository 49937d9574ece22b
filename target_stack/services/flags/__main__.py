"""Runs the flags service."""

from target_stack.kit.serving import serve
from target_stack.services.flags.app import build

if __name__ == "__main__":
    serve(build)
