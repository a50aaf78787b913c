"""Run files: each keeper has one, locked as long as it or an init of its runs lives, that names its
run. So whoever comes after its worker can tell which runs may still be going.
"""

import contextlib
import fcntl
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from rescind.model import RunRef

_BYTES = 64
"""Written at once, so that nobody reads half of it."""


class RunFile:
    """A keeper's own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        """For the inits, which hold the lock as well."""
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def name(self, run: RunRef | None) -> None:
        """This run is about to start; or, None, nothing is left of the last."""
        words = "" if run is None else f"{run.job_id} {run.attempt}"
        os.pwrite(self.descriptor, words.ljust(_BYTES).encode(), 0)

    def remove(self) -> None:
        """The keeper ends, and keeps nothing."""
        with contextlib.suppress(OSError):
            self._path.unlink()


def going(folder: Path, among: Collection[Path] | None = None) -> Mapping[Path, RunRef | None]:
    """The locked files of a folder, or of those ``among`` it, and the run that each names, if any.
    Files that nobody locks are removed: what they name has ended.
    """
    found: dict[Path, RunRef | None] = {}
    for path in sorted(folder.iterdir()) if among is None else among:
        with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                words = file.read(_BYTES).split()
                found[path] = RunRef(int(words[0]), int(words[1])) if words else None
            else:
                path.unlink()
    return found
