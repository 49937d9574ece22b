"""Runs the greetings service."""

from greetings.app import build
from target_stack.kit.serving import serve

if __name__ == "__main__":
    serve(build)
