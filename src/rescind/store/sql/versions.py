"""Which schemas this program knows: the one it serves, how to come to it, and what is said when a
database has another.

The stores step together, one number for both. A migration first expands: it adds what the next
program needs and takes away only what the program before did not use any more. So a program
serves its own schema and the next one, and programs can be replaced one by one.
"""

from importlib import resources

from rescind.errors import SchemaError

SCHEMA_VERSION = 8

_USE_NEWER = "A newer Rescind has migrated it: use that one."


def require(database: str, found: int) -> None:
    """Raise SchemaError, naming both versions, unless this program serves the schema."""
    if found in (SCHEMA_VERSION, SCHEMA_VERSION + 1):
        return
    what_to_do = "Run `rescind db migrate`." if found < SCHEMA_VERSION else _USE_NEWER
    raise SchemaError(
        f"{database} has schema version {found}; this program serves {SCHEMA_VERSION} and "
        f"{SCHEMA_VERSION + 1}. {what_to_do}"
    )


def steps(database: str, found: int, package: str) -> list[str]:
    """The SQL that brings a database of version ``found`` (0: an empty one) to
    ``SCHEMA_VERSION``, in order; nothing when it is there or one step further.

    Raises SchemaError when the database is too new for this program.
    """
    if found > SCHEMA_VERSION:
        require(database, found)
    if found == 0:
        return [schema(package)]
    return [text for number, text in migrations(package) if number > found]


def migrations(package: str) -> list[tuple[int, str]]:
    """Every migration of a store, by its number."""
    folder = resources.files(package).joinpath("migrations")
    files = sorted((file.name, file.read_text()) for file in folder.iterdir())
    return [(int(name.partition("_")[0]), text) for name, text in files if name.endswith(".sql")]


def schema(package: str) -> str:
    """The SQL that makes an empty database one of ``SCHEMA_VERSION``."""
    return resources.files(package).joinpath("schema.sql").read_text()


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """How the objects of a database differ from what they should be, in whole sentences."""
    missing = [f"{name} is missing." for name in sorted(wanted.keys() - found.keys())]
    other = [
        f"{name} is not as this version defines it."
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]
    return missing + other
