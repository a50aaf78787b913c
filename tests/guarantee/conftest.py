"""Guarantees are shown on every store."""

from store.conftest import store

__all__ = ["store"]
