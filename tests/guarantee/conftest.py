"""Guarantees are shown on every store."""

from store.conftest import make_store, postgres_server, postgres_url, store

__all__ = ["make_store", "postgres_server", "postgres_url", "store"]
