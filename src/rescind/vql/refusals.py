"""Why a query is refused, in the words of live Vaults (Vault reference, "VQL errors")."""

from rescind import limits
from rescind.errors import RequestRefused

_SYNTAX = "INCORRECT_QUERY_SYNTAX"


def invalid(message: str) -> RequestRefused:
    """What can be read, but not be asked."""
    return RequestRefused("INVALID_DATA", message)


def syntax_error(query: str, why: str) -> RequestRefused:
    """What cannot be read."""
    return RequestRefused(_SYNTAX, f"Cannot parse the search phrase [{_shown(query)}]: {why}")


def unknown_function(query: str, name: str) -> RequestRefused:
    """A function: there is none for jobs."""
    return RequestRefused(
        _SYNTAX, f"Cannot parse query [{_shown(query)}] : function [{name}] is unknown"
    )


def _shown(query: str) -> str:
    most = limits.QUERY_CHARACTERS_SHOWN
    return query if len(query) <= most else query[:most] + "…"
