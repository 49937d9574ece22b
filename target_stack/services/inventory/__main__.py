"""Runs the inventory service."""

from target_stack.kit.serving import serve
from target_stack.services.inventory.app import build

if __name__ == "__main__":
    serve(build)
