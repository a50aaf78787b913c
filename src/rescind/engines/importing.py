"""Importing job modules, wherever that happens. What goes wrong is told in one line, with the file
and line in the user's own code.
"""

import contextlib
import os
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from rescind import limits

_LIBRARIES = (
    str(Path(__file__).parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
)

Place = tuple[str, int]
"""A file and a line."""


def own_place(places: Iterable[Place]) -> str:
    """Of the places on a stack, the outermost first, the innermost in the user's own code, else the
    innermost, if any; as the end of a sentence.
    """
    real = [place for place in places if not place[0].startswith("<")]
    own = [place for place in real if not place[0].startswith(_LIBRARIES)]
    return "".join(f" ({file}, line {line})" for file, line in (own or real)[-1:])


def problem(name: str, error: BaseException) -> str:
    """Why a job module cannot be imported."""
    places = [(frame.filename, frame.lineno or 1) for frame in _frames(error)]
    message = _message(error)
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno or 1))
    what = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"The job module {name} cannot be imported: {what}{own_place(places)}."


def _message(error: BaseException) -> str:
    try:
        said = error.msg if isinstance(error, SyntaxError) else str(error)
    except Exception:  # noqa: BLE001 - it is a user's code that says it
        said = ""
    return " ".join(str(said).split())[: limits.REASON_CHARACTERS_SHOWN]


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def place_of(frame: FrameType | None) -> str:
    """Where a thread is, by its innermost frame; see :func:`own_place`."""
    stack = [(one.f_code.co_filename, line) for one, line in traceback.walk_stack(frame)]
    return own_place(reversed(stack))


def import_modules(modules: Sequence[str], tell: Callable[[str], None]) -> None:
    """Import job modules. If one cannot be, or takes too long, ``tell`` is told and this process
    ends.
    """
    pid = os.getpid()
    for name in modules:
        try:
            with watched(name, tell):
                __import__(name)
        except BaseException as error:  # noqa: BLE001 - importing runs a user's code
            if os.getpid() == pid:
                tell(problem(name, error))
                os._exit(0)
        if os.getpid() != pid:
            os._exit(0)  # a copy that the module has forked is not what imports it


@contextlib.contextmanager
def watched(name: str, tell: Callable[[str], None]) -> Iterator[None]:
    """If importing a module takes too long, ``tell`` where it is, and end this process."""
    importer, pid = threading.get_ident(), os.getpid()
    imported = threading.Event()

    def watch() -> None:
        if imported.wait(limits.IMPORT_SECONDS_MAX):
            return
        where = place_of(sys._current_frames()[importer])  # noqa: SLF001 - documented
        seconds = limits.IMPORT_SECONDS_MAX
        tell(f"The job module {name} takes longer than {seconds:g} seconds to import{where}.")
        os._exit(0)

    watcher = threading.Thread(target=watch, name="rescind-import", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        imported.set()
        if os.getpid() == pid:  # a forked copy has no such thread
            watcher.join()
