"""A real service, and clients of it."""

from process.conftest import database, serve, started

__all__ = ["database", "serve", "started"]
