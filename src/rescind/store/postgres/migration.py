"""The schema of a PostgreSQL database: made, migrated, checked."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import IsolationLevel, errors

from rescind import limits
from rescind.errors import SchemaError, StoreUnavailable
from rescind.store.postgres.database import MARK, connect, schema_version, translated
from rescind.store.postgres.transaction import Connection
from rescind.store.sql import versions
from rescind.store.sql.versions import SCHEMA_VERSION

assert __package__ is not None
_PACKAGE: str = __package__

_MIGRATION_LOCK = 0x7265736369  # any number that is ours
_SCRATCH = "rescind_check"

_OBJECTS = """
SELECT 'column ' || c.relname || '.' || a.attname AS name,
    concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
        pg_get_expr(d.adbin, d.adrelid)) AS definition
FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind = 'r'
    AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint ' || c.relname || ' ' || pg_get_constraintdef(k.oid), ''
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
WHERE k.connamespace = %(schema)s::regnamespace AND k.contype <> 'n'  -- NOT NULL: see columns
UNION ALL
SELECT 'index ' || i.relname, pg_get_indexdef(i.oid)
FROM pg_class AS i WHERE i.relnamespace = %(schema)s::regnamespace AND i.relkind = 'i'
UNION ALL
SELECT 'trigger ' || t.tgname, pg_get_triggerdef(t.oid)
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND NOT t.tgisinternal
UNION ALL
SELECT 'function ' || proname, concat_ws(' ', provolatile, prosrc)
FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
"""


def migrate(url: str) -> tuple[int, int]:
    """Bring the database to this program's schema; (version before, version after).

    Of several processes one does it. Raises SchemaError when the database is too new for this
    program, or another application's; StoreUnavailable when a table it must change stays busy.
    """
    with _refused(), translated(), connect(url) as connection:
        # What is seen must be as it is once the lock is held.
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_MIGRATION_LOCK,))
        # Waiting for a busy table would make all others wait behind the migration.
        connection.execute(f"SET LOCAL lock_timeout = '{limits.POSTGRES_LOCK_SECONDS_MAX}s'")
        before = schema_version(connection)
        after = max(before, SCHEMA_VERSION)
        try:
            for step in versions.steps("The database", before, _PACKAGE):
                connection.execute(step.encode())
        except errors.LockNotAvailable as error:
            raise StoreUnavailable(
                "A table is busy with a long transaction: nothing was changed. Try again when "
                "there is less to do, or find it in pg_stat_activity."
            ) from error
        connection.execute("UPDATE schema_version SET version = %s", (after,))
        if before < after:
            connection.execute(f"COMMENT ON TABLE schema_version IS '{MARK}'".encode())
    return before, after


@contextmanager
def _refused() -> Iterator[None]:
    """What the database does not let this role do, or has already of somebody else."""
    try:
        yield
    except errors.DuplicateTable as error:
        raise SchemaError(
            f"The database has tables of another application: {error.diag.message_primary}. "
            "It was left as it is; give Rescind a database or a schema of its own."
        ) from error
    except errors.ProgrammingError as error:
        raise StoreUnavailable(f"The database refused the migration: {error}") from error


def check(url: str) -> list[str]:
    """What is wrong with the database's schema, in whole sentences; empty when nothing is."""
    with translated(), connect(url) as connection:
        version = schema_version(connection)
        if version != SCHEMA_VERSION:
            return [f"It has schema version {version}; this program's is {SCHEMA_VERSION}."]
        found = objects(connection)
        # What it should be is what this version makes, beside it, of nothing.
        connection.execute(f"CREATE SCHEMA {_SCRATCH}".encode())
        connection.execute(f"SET LOCAL search_path TO {_SCRATCH}".encode())
        connection.execute(versions.schema(_PACKAGE).encode())
        wanted = objects(connection)
        connection.rollback()
    return versions.differences(wanted, found)


def objects(connection: Connection) -> dict[str, str]:
    """Every column, constraint, index, trigger and function of the current schema with its
    definition.
    """
    row = connection.execute("SELECT current_schema() AS name").fetchone()
    schema: str = row["name"] if row else "public"
    rows = connection.execute(_OBJECTS, {"schema": schema})
    return {row["name"]: row["definition"].replace(f"{schema}.", "") for row in rows}
