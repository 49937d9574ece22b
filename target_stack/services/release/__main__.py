"""Runs the release controller."""

from target_stack.kit.serving import serve
from target_stack.services.release.app import build

if __name__ == "__main__":
    serve(build)
