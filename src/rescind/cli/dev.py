"""``rescind dev``: a service of one's own while one writes jobs, which loads changed code anew."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from rescind import ids
from rescind.cli.exits import Exit
from rescind.cli.remote import leave, tell
from rescind.client import Client, kept
from rescind.clock import sleep

_FOLDER = ".rescind"
_USER = "dev"
_READY = "Rescind is ready at "
_DEFAULT_PORT = 8127
_LOOK_SECONDS = 0.5
_DRAIN_SECONDS = "1"
"""Runs that take longer are given back when the code has changed."""
_IGNORED = {"__pycache__", "node_modules", "site-packages", "venv"}


def dev(
    modules: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODULE]...", help="Else jobs.py, or the package jobs, from here."),
    ] = None,
    port: Annotated[int, typer.Option(help="Else 8127 or, if that is taken, any.")] = _DEFAULT_PORT,
    slots: Annotated[int, typer.Option(help="How many jobs run at once.", min=1)] = 2,
) -> None:
    """Serve the jobs of this folder to this machine alone, and sign the command line in.

    Changed code is loaded anew. Everything is kept in .rescind here.
    """
    names = modules or [_found_here()]
    folder = Path.cwd() / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / ".gitignore").write_text("*\n")
    url = f"sqlite:///{folder / 'rescind.db'}"
    service = _Service(url, names, port, slots)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        if not service.start():
            raise leave("it does not start; see above", Exit.CANNOT)
        password = _sign_in(url, service.address)
        tell(f"Rescind serves {', '.join(names)} at {service.address}")
        tell(f"The command line is signed in; in a browser: {_USER}  password: {password}")
        _watch(service)
    except KeyboardInterrupt:
        pass
    finally:
        service.end()
        session = kept.load()
        if session is not None and session.url == service.address:
            kept.forget()


class _Service:
    """``rescind serve`` as a process of ours, on one port however often it is started."""

    def __init__(self, url: str, modules: list[str], port: int, slots: int) -> None:
        self._url, self._modules, self._slots = url, modules, slots
        self._port = port if port != _DEFAULT_PORT or _is_free(port) else 0
        self._process: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self) -> bool:
        """Start it; whether it serves. If not, it has said why."""
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            [
                *(sys.executable, "-m", "rescind.cli", "serve", "--database", self._url),
                *("--host", "127.0.0.1", "--port", str(self._port), "--slots", str(self._slots)),
                *(word for name in self._modules for word in ("--jobs", name)),
            ],
            env={**os.environ, "RESCIND_DRAIN_SECONDS": _DRAIN_SECONDS},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        said = self._process.stdout.readline()  # nothing, when it ends without having served
        if not said.startswith(_READY):
            self.end()
            return False
        self.address = said.removeprefix(_READY).strip()
        self._port = int(self.address.rpartition(":")[2])
        return True

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def end(self) -> None:
        """End it as a deploy does: what runs is given back, not cancelled."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _found_here() -> str:
    """The module ``jobs`` of the present folder, and no other of that name."""
    if Path("jobs.py").is_file() or Path("jobs/__init__.py").is_file():
        return "jobs"
    raise leave("there is no jobs.py and no package jobs here: name a module", Exit.CANNOT)


def _sign_in(url: str, address: str) -> str:
    """Sign the command line in as the user who may do everything here; the password."""
    from rescind import databases  # noqa: PLC0415 - other commands do not wait for it
    from rescind.service import accounts  # noqa: PLC0415 - as above
    from rescind.service.policy import Permission  # noqa: PLC0415 - as above

    password, store = ids.password(), databases.open_store(url)
    try:
        if store.user_by_name(_USER) is None:
            accounts.add_user(store, _USER, password, set(Permission))
        else:
            accounts.set_password(store, _USER, password)
    finally:
        store.close()
    with Client(address, _USER, password) as client:
        session_id = client.sign_in()
    kept.keep(kept.KeptSession(url=address, username=_USER, session_id=session_id))
    return password


def _watch(service: _Service) -> None:
    """Start it anew whenever the code has changed, and wait for a change when it does not start."""
    seen, serves = dict(_code()), True
    while True:
        sleep(_LOOK_SECONDS)
        if serves and service.ended:
            raise leave("the service has ended; see above", Exit.CANNOT)
        now = dict(_code())
        if now == seen:
            continue
        changed = sorted({name for name, _ in now.items() ^ seen.items()})
        seen = now
        tell(f"{', '.join(changed[:3])} changed: loading the jobs anew")
        service.end()
        serves = service.start()
        tell("Serving again" if serves else "It does not start; waiting for another change")


def _code() -> Iterator[tuple[str, int]]:
    """Python's files below this folder, and when they were changed."""
    for folder, below, files in os.walk("."):
        below[:] = [name for name in below if not name.startswith(".") and name not in _IGNORED]
        for name in files:
            if name.endswith(".py"):
                path = os.path.normpath(f"{folder}/{name}")
                with suppress(OSError):  # it is gone
                    yield path, Path(path).stat().st_mtime_ns
