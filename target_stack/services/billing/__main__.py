"""Runs the billing service."""

from target_stack.kit.serving import serve
from target_stack.services.billing.app import build

if __name__ == "__main__":
    serve(build)
