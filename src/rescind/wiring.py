"""The only module that names a concrete store and a concrete engine: it puts a service together."""

import fcntl
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import structlog
from starlette.types import ASGIApp

from rescind import ids, limits
from rescind.api.application import application
from rescind.api.http import Context, Route
from rescind.api.routes import ROUTES
from rescind.clock import Clock, SystemClock
from rescind.config import Settings, sqlite_path
from rescind.engines.inline import InlineEngine
from rescind.engines.process.engine import ProcessEngine
from rescind.engines.protocol import Engine
from rescind.errors import ConfigurationError
from rescind.runtime.canceller import Canceller
from rescind.runtime.loop import Loop
from rescind.runtime.rescuer import Rescuer
from rescind.runtime.scheduler import Scheduler
from rescind.runtime.stopper import Stopper
from rescind.runtime.supervisor import Supervisor
from rescind.runtime.worker import Worker
from rescind.service.health import Health
from rescind.store.protocol import Store
from rescind.store.sqlite import database
from rescind.store.sqlite.store import FileOwner, SqliteStore
from rescind.ui.routes import PAGES

_log = structlog.get_logger()

ALL_ROUTES: tuple[Route, ...] = (*ROUTES, *PAGES)
"""Everything that can be asked for by HTTP."""


def migrate(url: str) -> tuple[int, int]:
    """Bring a database to this program's schema; (version before, version after)."""
    return database.migrate(sqlite_path(url))


def check(url: str) -> list[str]:
    """What is wrong with a database, in whole sentences."""
    return database.check(sqlite_path(url))


def open_store(url: str) -> Store:
    """A migrated database, for people's work on it beside a running service."""
    return SqliteStore(sqlite_path(url), SystemClock())


class Service:
    """A whole service on one SQLite file: store, loops, worker, application.

    Construction takes the file, recovers what an earlier owner left behind and registers the
    jobs; nothing is claimed before :meth:`start`.
    """

    def __init__(self, settings: Settings, *, run_worker: bool = True) -> None:
        self._settings = settings
        self._stack = ExitStack()
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self._build(settings, SystemClock(), run_worker=run_worker)
            undo.pop_all()

    def _build(self, settings: Settings, clock: Clock, *, run_worker: bool) -> None:
        path = sqlite_path(settings.database)
        owner = FileOwner(path)
        self._stack.callback(owner.close)
        database.migrate(path)
        self.store = SqliteStore(path, clock)
        self._stack.callback(self.store.close)
        keepers = path.with_name(path.name + ".keepers")
        _await_old_keepers(keepers)
        self.store.end_leases()
        loops: list[Loop] = [Scheduler(self.store), Canceller(self.store), Rescuer(self.store)]
        worker: Worker | None = None
        if run_worker:
            engine = _engine(settings, clock, keepers)
            self._stack.callback(engine.close)
            worker = _worker(self.store, engine, clock)
            loops.append(Stopper(self.store, engine, worker_id=worker.id))
        self.supervisor = Supervisor(self.store, clock, loops, worker)
        context = Context(store=self.store, settings=settings, health=Health(self.store, clock))
        self.application: ASGIApp = application(context, clock, ALL_ROUTES)

    def start(self) -> None:
        """Start the loops."""
        self.supervisor.start()

    def stop(self) -> None:
        """Drain, stop the loops, and let go of everything, in that order."""
        self.supervisor.drain(self._settings.drain_seconds)
        patience = self._settings.drain_seconds + limits.STOP_SECONDS_MAX
        if not self.supervisor.wait_idle(patience):
            _log.error("stopping all the same; the next start settles what is left")
        self.supervisor.stop()
        self._stack.close()


def _engine(settings: Settings, clock: Clock, keepers: Path) -> Engine:
    makers: dict[str, Callable[[], Engine]] = {
        "process": lambda: ProcessEngine(
            settings.jobs, slots=settings.slots, clock=clock, keepers_lock=keepers
        ),
        "inline": lambda: InlineEngine(settings.jobs, clock=clock),
    }
    return makers[settings.engine]()


def _worker(store: Store, engine: Engine, clock: Clock) -> Worker:
    metadata = engine.describe()
    processors: Sequence[str] = [value.processor for value in metadata]
    if unknown := store.register(metadata, processors=processors):
        raise ConfigurationError(
            *(f"There is no queue named {queue!r}, which a job names." for queue in unknown)
        )
    return Worker(store, engine, clock, worker_id=ids.worker_id(), metadata=metadata)


def _await_old_keepers(lock: Path) -> None:
    """Wait until the keepers of an earlier owner are gone, and what they kept with them.

    Each holds this lock, shared, all its life; a keeper whose worker is gone kills what it keeps
    and exits. Only then is it true that what the earlier owner ran has stopped.
    """
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("waiting for what the previous service ran to be stopped")
            fcntl.flock(file, fcntl.LOCK_EX)
    finally:
        os.close(file)
