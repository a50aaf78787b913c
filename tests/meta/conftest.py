"""The examples of the documentation are run against a whole service."""

from process.conftest import serve

__all__ = ["serve"]
