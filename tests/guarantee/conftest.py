"""Guarantees are shown on every store."""

from store.conftest import make_store, store

__all__ = ["make_store", "store"]
