"""Runs the certificate authority."""

from target_stack.kit.serving import serve
from target_stack.services.authority.app import build

if __name__ == "__main__":
    serve(build)
