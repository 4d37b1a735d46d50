"""A command line for any YANG model, on a terminal or by script."""
