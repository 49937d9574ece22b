"""Runs the recommendations service."""

from target_stack.kit.serving import serve
from target_stack.services.recommendations.app import build

if __name__ == "__main__":
    serve(build)
