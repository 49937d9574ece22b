"""Runs the identity service."""

from target_stack.kit.serving import serve
from target_stack.services.identity.app import build

if __name__ == "__main__":
    serve(build)
