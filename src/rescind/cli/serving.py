"""``rescind serve``, one process with API, pages, loops and worker; ``rescind worker``, one with
loops and worker alone; and their end by signal.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import structlog
from starlette.types import ASGIApp

from rescind import limits
from rescind.cli.logs import log_to_stderr
from rescind.cli.server import Server
from rescind.config import Settings, made_by_kubernetes, sqlite_path, without_password
from rescind.engines.process.system import forget_environment
from rescind.errors import CannotStart
from rescind.service import accounts
from rescind.ui.visitors import curl_lines
from rescind.wiring import Service


class Tls(NamedTuple):
    """The files for HTTPS, if any."""

    certificate: str | None
    key: str | None


def serve(settings: Settings, *, run_worker: bool, make_administrator: bool, tls: Tls) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain; a second signal ends it at once.

    Raises CannotStart, ConfigurationError, SchemaError or StoreUnavailable.
    """
    _begin()
    listener = _listen(settings, tls)
    _hear(_leave)
    with listener:
        service = Service(settings, run_worker=run_worker)
        made = accounts.first_administrator(service.store) if make_administrator else None
        banner = _banner(settings, listener, tls, made)
        server = _server(service.application, banner, tls)
        _give_turns()
        try:
            service.start()
            asyncio.run(_run(server, listener, service))
        finally:
            _hear(_end)
            service.stop()
    if service.fatal is not None:
        raise service.fatal


def _give_turns() -> None:
    """A cancel must not wait for long: for a thread that is at work (five times as often as usual
    another one has its turn), nor for a look through all that lives as long as the service.
    """
    sys.setswitchinterval(limits.THREAD_TURN_SECONDS)
    gc.collect()
    gc.freeze()


def _server(application: ASGIApp, banner: list[str], tls: Tls) -> Server:
    try:
        return Server(application, banner, certificate=tls.certificate, key=tls.key)
    except OSError as error:  # ssl's errors are such
        raise CannotStart(f"The TLS files cannot be used: {error}.") from error


async def _run(server: Server, listener: socket.socket, service: Service) -> None:
    """Answer until a signal comes, and on until the service has drained."""
    loop = asyncio.get_running_loop()
    told = asyncio.Event()

    def hear(number: int) -> None:
        if told.is_set():
            _end(number)
        told.set()

    for number in _signals():
        loop.add_signal_handler(number, hear, number)

    async def drain() -> None:
        await told.wait()
        try:
            idle = asyncio.Event()
            for seconds in service.drain(lambda: loop.call_soon_threadsafe(idle.set)):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(idle.wait(), seconds)
                    break
        finally:
            server.should_exit = True

    draining = asyncio.create_task(drain())
    try:
        await server.serve(sockets=[listener])
    finally:
        draining.cancel()


def work(settings: Settings) -> None:
    """Run jobs until SIGTERM, SIGINT or SIGHUP, then drain; a second signal ends it at once.

    Raises CannotStart, ConfigurationError, SchemaError or StoreUnavailable.
    """
    _begin()
    if sqlite_path(settings.database) is not None:
        raise CannotStart(
            "On SQLite the one `rescind serve` of a file runs its jobs; more workers need "
            "PostgreSQL."
        )
    if not settings.jobs:
        raise CannotStart("A worker runs jobs: name their modules with --jobs or RESCIND_JOBS.")
    _hear(_leave)
    service = Service(settings)
    assert service.worker is not None
    try:
        service.start()
        print(f"Rescind worker is ready: {service.worker.id}", flush=True)
        _wait_for_a_signal()
    finally:
        _hear(_end)
        idle = threading.Event()
        any(idle.wait(seconds) for seconds in service.drain(idle.set))
        service.stop()
    if service.fatal is not None:
        raise service.fatal


def _signals() -> list[signal.Signals]:
    """Those that end the service; but for what it was started to ignore, as by ``nohup``."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGTERM, signal.SIGINT, *hangup]


def _hear(what: Callable[[int], None]) -> None:
    """From now on signals do this."""
    for number in _signals():
        signal.signal(number, lambda number, _frame: what(number))


def _wait_for_a_signal() -> None:
    # Whichever thread the system gives a signal to, it comes out of this pipe.
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write)
    _hear(lambda _number: None)
    os.read(read, 1)


def _leave(number: int) -> None:
    raise SystemExit(128 + number)


def _end(number: int) -> None:
    print("rescind: stopped at once; running jobs are killed", file=sys.stderr)
    os._exit(128 + number)


def _listen(settings: Settings, tls: Tls) -> socket.socket:
    for file in filter(None, tls):
        if not Path(file).is_file():
            raise CannotStart(f"There is no file {file}.")
    if (tls.certificate is None) != (tls.key is None):
        raise CannotStart("--tls-certificate and --tls-key go together.")
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio turns off Nagle's algorithm only where the protocol is named; left on, each answer
    # on a kept connection would wait for 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(1024)
    except (OSError, UnicodeError) as error:  # a name that cannot be one, too
        listener.close()
        why = getattr(error, "strerror", None) or error
        raise CannotStart(
            f"Cannot listen on {settings.host} port {settings.port}: {why}. "
            "Choose another with --host and --port, or RESCIND_HOST and RESCIND_PORT."
        ) from error
    return listener


def _banner(
    settings: Settings, listener: socket.socket, tls: Tls, made: tuple[str, str] | None
) -> list[str]:
    scheme = "https" if tls.certificate else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"{scheme}://{host}:{listener.getsockname()[1]}"
    lines = [f"Rescind is ready at {address}"]
    if made is not None:
        lines.append(f"First administrator: {made[0]}  password: {made[1]}")
        lines += curl_lines(address, made[1])
        return lines
    path = sqlite_path(settings.database)
    url = without_password(settings.database)
    afresh = "" if path is None else f" To start afresh, stop Rescind and remove {path}*;"
    return [
        *lines,
        f"Users and jobs are those of {path or url}.{afresh}",
        f"for a new password: rescind user passwd admin --database {url}",
        *curl_lines(address),
    ]


def _begin() -> None:
    """Start the log, and forget settings in the environment, which have been read: the jobs below
    must not find them here.
    """
    log_to_stderr()
    if ignored := made_by_kubernetes(os.environ):
        log = structlog.get_logger()
        log.info("variables that Kubernetes has made are ignored", variables=ignored)
    forget_environment("RESCIND_")
