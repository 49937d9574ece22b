"""Runs the next version of catalog."""

from target_stack.kit.serving import serve
from target_stack.services.catalog_canary.app import build

if __name__ == "__main__":
    serve(build)
