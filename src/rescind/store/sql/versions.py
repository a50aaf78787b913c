"""Which schema a program serves, and what is said when a database has another."""

from rescind.errors import SchemaError

_USE_NEWER = "A newer Rescind has migrated it: use that one."


def require(database: str, found: int, served: int) -> None:
    """Raise SchemaError, naming both, unless the schema is the one this program serves."""
    if found == served:
        return
    what_to_do = "Run `rescind db migrate`." if found < served else _USE_NEWER
    raise SchemaError(
        f"{database} has schema version {found}; this program serves {served}. {what_to_do}"
    )


def refuse_newer(database: str, found: int, known: int) -> None:
    """Raise SchemaError when a database is beyond what this program can migrate."""
    if found > known:
        raise SchemaError(
            f"{database} has schema version {found}; this program knows up to {known}. {_USE_NEWER}"
        )
