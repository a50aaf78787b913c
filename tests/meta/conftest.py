"""The examples of the documentation are run against a whole service."""

from process.conftest import database, serve, started

__all__ = ["database", "serve", "started"]
