"""The command line."""

from rescind.cli.main import main

__all__ = ["main"]
