"""The pages of docs/reference, made from the code; `python -m harness.reference docs/reference` writes them."""
