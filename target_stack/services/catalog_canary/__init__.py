"""The next version of catalog, run beside the old one; what is wrong with it is chosen by a flag."""
