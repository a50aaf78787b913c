"""Puts a service together: with ``databases.py`` the only module that names a concrete store, and
the only one that names a concrete engine.
"""

import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import structlog
from starlette.types import ASGIApp

from rescind import ids, limits
from rescind.api.application import application
from rescind.api.http import Context, Route
from rescind.api.routes import ROUTES
from rescind.clock import Clock, SystemClock
from rescind.config import Settings, sqlite_path
from rescind.engines.inline import InlineEngine
from rescind.engines.process import run_file
from rescind.engines.process.engine import ProcessEngine
from rescind.engines.protocol import Engine
from rescind.engines.ray.engine import RayEngine
from rescind.engines.ray.outliving import Outliving
from rescind.engines.ray.sealing import Certificate
from rescind.errors import CannotStart, ConfigurationError, SchemaError, StoreUnavailable
from rescind.model import Registration
from rescind.runtime.canceller import Canceller
from rescind.runtime.exchanger import Exchanger
from rescind.runtime.lease import Lease
from rescind.runtime.loop import Loop
from rescind.runtime.operator import Operator
from rescind.runtime.pruner import Pruner
from rescind.runtime.renewer import Renewer
from rescind.runtime.rescuer import Rescuer
from rescind.runtime.scheduler import Scheduler
from rescind.runtime.schema_guard import SchemaGuard
from rescind.runtime.stopper import Stopper
from rescind.runtime.supervisor import Supervisor
from rescind.runtime.takeover import Takeover
from rescind.runtime.worker import Worker
from rescind.service.health import Health
from rescind.service.operations import rights
from rescind.service.policy import Profile
from rescind.store.protocol import Store
from rescind.store.sqlite import migration as sqlite
from rescind.store.sqlite.store import FileOwner, SqliteStore
from rescind.ui.pages import ERROR_PAGES
from rescind.ui.routes import PAGES

_log = structlog.get_logger()

ALL_ROUTES: tuple[Route, ...] = (*ROUTES, *PAGES)
"""Everything that can be asked for by HTTP."""


class _Backend(NamedTuple):
    """A store, and what using it asks of the rest."""

    store: Store
    loops: list[Loop]
    run_files: Path | None
    """Where keepers name their runs, for the next owner of the store."""
    outliving: Outliving | None
    """Says to the next owner that runs on nodes may go on."""
    lease_seconds: float | None
    """None: a lease lasts as long as its owner."""


class Service:
    """A whole service: store, loops, worker, application.

    Construction opens the store, recovers what an earlier owner left behind and registers the
    jobs; nothing is claimed before :meth:`start`.
    """

    def __init__(self, settings: Settings, *, run_worker: bool = True) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self.fatal: SchemaError | None = None
        """Why this process cannot go on."""
        with ExitStack() as undo:
            undo.callback(self._stack.close)
            self._build(SystemClock(), run_worker=run_worker)
            undo.pop_all()

    def _build(self, clock: Clock, *, run_worker: bool) -> None:
        backend = _backend(self._settings, clock, self._stack)
        self.store = store = backend.store
        loops: list[Loop] = [
            *backend.loops,
            Scheduler(store, clock),
            Canceller(store),
            Rescuer(store),
            Operator(store, rights(Profile(self._settings.profile))),
            Pruner(store, retention_days=self._settings.retention_days),
            SchemaGuard(store),
        ]
        self.worker: Worker | None = None
        problem: Callable[[], str | None] = lambda: None  # noqa: E731 - nothing runs here
        if run_worker:
            engine = _engine(self._settings, clock, backend)
            self._stack.callback(engine.close)
            problem = lambda: engine.problem  # noqa: E731 - as it then is
            worker_id, lease = ids.worker_id(), None
            if backend.lease_seconds is not None:
                seconds = backend.lease_seconds
                lease = Lease(store, engine, clock, worker_id=worker_id, seconds=seconds)
                loops.append(Renewer(lease))
            self.worker = _worker(self._settings, store, engine, clock, worker_id, lease)
            loops.append(Stopper(store, engine, worker_id=worker_id))
        self.supervisor = Supervisor(store, clock, loops, self.worker, self._end)
        self._health = Health(store, clock, problem)
        context = Context(store=store, settings=self._settings, clock=clock, health=self._health)
        self.application: ASGIApp = application(context, ALL_ROUTES, ERROR_PAGES)

    def _end(self, error: SchemaError) -> None:
        """End this process as SIGTERM does, and say why when it has ended."""
        if self.fatal is None:
            self.fatal = error
            os.kill(os.getpid(), signal.SIGTERM)

    def start(self) -> None:
        """Start the loops."""
        self.supervisor.start()

    def drain(self, on_idle: Callable[[], object]) -> Iterator[float]:
        """Claim nothing more; ``on_idle`` is told, once and from any thread, when nothing runs here
        any more. The API answers meanwhile. For how many seconds to wait for that; asked for the
        next, go further: jobs are told to stop, then killed.
        """
        seconds = self._settings.drain_seconds
        self._health.drain()
        _log.info("draining", seconds=seconds)
        self.supervisor.drain(seconds, on_idle)
        yield seconds
        if self.worker is not None:
            yield self.worker.longest_stop_seconds + limits.STOP_SECONDS_MAX
            _log.error("jobs do not stop: they are killed")
            self.worker.kill()
            yield limits.STOP_SECONDS_MAX

    def stop(self) -> None:
        """Stop the loops, and let go of everything."""
        if not self._health.draining:
            self.supervisor.drain(0.0, lambda: None)  # something went wrong: claim nothing more
        elif self.worker is not None and not self.worker.drained:
            _log.error("stopping all the same; what is left is settled without this process")
        self.supervisor.stop()
        if self.worker is not None:
            try:
                self.store.unregister(self.worker.id)
            except StoreUnavailable as error:
                _log.warning("the worker ends without saying so", error=str(error))
        self._stack.close()


def _backend(settings: Settings, clock: Clock, stack: ExitStack) -> _Backend:
    path = sqlite_path(settings.database)
    if path is None:
        return _postgres(settings, clock, stack)
    return _sqlite(path, clock, stack)


def _sqlite(path: Path, clock: Clock, stack: ExitStack) -> _Backend:
    """One process owns the file. What an earlier owner ran and may still be going is left alone
    until it has ended.
    """
    path = path.resolve()  # its locks stand beside the file itself, whatever leads to it
    owner = FileOwner(path)
    stack.callback(owner.close)
    sqlite.migrate(path)
    store = SqliteStore(path, clock)
    stack.callback(store.close)
    _await_old_keepers(path.with_name(path.name + ".keepers"))
    files = path.with_name(path.name + ".runs")
    try:
        files.mkdir(mode=0o700, exist_ok=True)
        going = run_file.going(files)
        runs = [run for run in going.values() if run is not None]
        outliving = Outliving(path.with_name(path.name + ".nodes"), clock)
        on_nodes = outliving.begin([run for run in store.all_held() if run not in runs])
    except OSError as error:
        raise CannotStart(
            f"{files}, which says what an earlier service still runs, cannot be read: {error}."
        ) from error
    runs += on_nodes
    store.take_over(runs)
    if runs:
        _log.warning(
            "runs of an earlier service may still be going: their jobs stay as they are until then",
            jobs=[run.job_id for run in runs],
        )
    here = Takeover(store, going, lambda among: run_file.going(files, among))
    there = Takeover(store, {run: run for run in on_nodes}, outliving.going)
    return _Backend(store, [here, there], files, outliving, None)


def _postgres(settings: Settings, clock: Clock, stack: ExitStack) -> _Backend:
    """Many processes share the database, under leases."""
    from rescind.store.postgres.store import PostgresStore  # noqa: PLC0415 - as in databases.py

    store = PostgresStore(settings.database, lease_seconds=settings.lease_seconds)
    stack.callback(store.close)
    exchanger = Exchanger(store.exchange, clock, store.wake)
    return _Backend(store, [exchanger], None, None, settings.lease_seconds)


def _engine(settings: Settings, clock: Clock, backend: _Backend) -> Engine:
    makers: dict[str, Callable[[], Engine]] = {
        "process": lambda: ProcessEngine(
            settings.jobs,
            slots=settings.slots,
            clock=clock,
            warm=settings.warm,
            run_files=backend.run_files,
        ),
        "inline": lambda: InlineEngine(settings.jobs, clock=clock),
        "ray": lambda: RayEngine(
            settings.jobs,
            slots=settings.slots,
            clock=clock,
            address=settings.ray_address,
            warm=settings.warm,
            host=settings.keeper_host,
            port=settings.keeper_port,
            certificate=_certificate(settings),
            outliving=backend.outliving,
        ),
    }
    return makers[settings.engine]()


def _certificate(settings: Settings) -> Certificate | None:
    file, key = settings.keeper_tls_certificate, settings.keeper_tls_key
    if file is None and key is not None:
        raise CannotStart("keeper_tls_key is set, and keeper_tls_certificate is not.")
    return None if file is None else Certificate(file, key)


def _worker(
    settings: Settings,
    store: Store,
    engine: Engine,
    clock: Clock,
    worker_id: str,
    lease: Lease | None,
) -> Worker:
    metadata = engine.describe()
    registration = Registration(
        id=worker_id,
        host=socket.gethostname(),
        pid=os.getpid(),
        slots=1 if settings.engine == "inline" else settings.slots,
    )
    jobs = [f"{value.name} ({value.processor})" for value in metadata]
    _log.info("jobs that can run here", jobs=jobs)
    if unknown := store.register(registration, metadata):
        raise ConfigurationError(
            *(f"There is no queue named {queue!r}, which a job names." for queue in unknown)
        )
    return Worker(store, engine, clock, registration=registration, metadata=metadata, lease=lease)


def _await_old_keepers(lock: Path) -> None:
    """Wait until the keepers of an earlier owner of the version before are gone: each holds this
    lock, shared, all its life, and what each runs, it does not say.
    """
    try:
        file = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.info("waiting for what the previous service ran to be stopped")
            fcntl.flock(file, fcntl.LOCK_EX)
        lock.unlink()
    finally:
        os.close(file)
