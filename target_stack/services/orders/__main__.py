"""Runs the orders service."""

from target_stack.kit.serving import serve
from target_stack.services.orders.app import build

if __name__ == "__main__":
    serve(build)
