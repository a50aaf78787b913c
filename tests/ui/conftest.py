"""Pages are tested on the API's application."""

from api.conftest import api, context, seeded, store

__all__ = ["api", "context", "seeded", "store"]
