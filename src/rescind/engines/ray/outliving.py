"""Runs on nodes may outlive their worker for a while. Where the store has no leases that say for
how long, a file beside it says that there may be such runs.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

from rescind import limits
from rescind.clock import Clock
from rescind.errors import CannotStart
from rescind.model import RunRef


class Outliving:
    """The file, for the one owner of the store."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._ours = False
        self._over_at = clock.elapsed()
        """Until then, runs of an earlier owner may go on."""

    def begin(self, held: Collection[RunRef]) -> Collection[RunRef]:
        """Of the runs that an earlier owner held, those that may still be going on nodes."""
        if not self._path.exists():
            return ()
        if held:
            self._over_at = self._clock.elapsed() + limits.NODE_SECONDS
        self.going(held)
        return held

    def going(self, among: Collection[RunRef]) -> Mapping[RunRef, RunRef]:
        """Those of an earlier owner's runs that may still be going now."""
        if self._clock.elapsed() < self._over_at:
            return {run: run for run in among}
        if not self._ours:
            self._path.unlink(missing_ok=True)
        return {}

    def mark(self) -> None:
        """There may be such runs of ours from now on. Raises CannotStart when it cannot say so."""
        self._ours = True
        try:
            self._path.touch(mode=0o600)
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # a machine that loses its power must not forget it
            finally:
                os.close(folder)
        except OSError as error:
            raise CannotStart(
                f"{self._path}, which is to say that jobs run on nodes, cannot be made: {error}."
            ) from error

    def clear(self) -> None:
        """Nothing of ours runs on any node any more; what is of an earlier owner may."""
        self._ours = False
        self.going(())
