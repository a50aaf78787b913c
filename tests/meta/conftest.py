"""The examples of the documentation are run against a whole service."""

from process.conftest import database, no_drain, serve, started

__all__ = ["database", "no_drain", "serve", "started"]
