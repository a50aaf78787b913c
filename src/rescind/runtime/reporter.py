"""How runs ended, until the store has taken it: written in groups, together with the next claim."""

from collections.abc import Callable, Collection, Sequence
from typing import TypeVar

import structlog

from rescind import limits
from rescind.errors import StoreUnavailable
from rescind.lifecycle import Status
from rescind.model import Actor, Job, RunEnd, RunRef, RunRelease, RunRetry
from rescind.runtime.judgement import Report, refused
from rescind.store.protocol import JobStore

_log = structlog.get_logger()

_End = TypeVar("_End", RunEnd, RunRetry)


class Reporter:
    """What does not land any more (a cancel was accepted meanwhile) is given back with the evidence
    of how it stopped. What the store does not take now stays here.
    """

    def __init__(self, store: JobStore, actor: Actor) -> None:
        self._store = store
        self._actor = actor
        self._ends: list[RunEnd] = []
        self._retries: list[RunRetry] = []
        self._releases: list[RunRelease] = []
        self._titles: dict[int, str] = {}
        """The names of the jobs, for the log."""

    def __bool__(self) -> bool:
        return bool(self._ends or self._retries or self._releases)

    @property
    def runs(self) -> set[RunRef]:
        """Those whose end has not been written."""
        reports: list[Report] = [*self._ends, *self._retries, *self._releases]
        return {report.run for report in reports}

    def add(self, report: Report, name: str) -> None:
        """Report this of a run of the job metadata ``name``, when the store next takes it."""
        if isinstance(report, RunEnd):
            self._ends.append(report)
        elif isinstance(report, RunRetry):
            self._retries.append(report)
        else:
            self._releases.append(report)
        self._titles[report.run.job_id] = name

    def claim(self, names: Sequence[str], limit: int) -> list[Job]:
        """Report the ends, and claim as many jobs of these names."""
        ends = self._ends
        if not (ends or limit):
            return []
        try:
            turn = self._store.turn(self._actor, ends, names=names, limit=limit)
        except StoreUnavailable:
            raise
        except Exception:
            if not ends:
                raise
            _log.exception("endings were refused by the database", runs=len(ends))
            self._conclude(ends, self._landed_alone(ends, self._store.finish))
            self._ends = []
            return self._store.claim(self._actor, names=names, limit=limit) if limit else []
        self._ends = [end for end in ends if end.run.job_id in turn.held]
        self._conclude([end for end in ends if end.run.job_id not in turn.held], turn.landed)
        return turn.claimed

    def report(self) -> None:
        """Report what else there is."""
        if self._retries:
            retries = self._retries
            self._conclude(retries, self._landed(retries, self._store.retry))
            self._retries = []
        if self._releases:
            self._store.release(self._actor.by, self._releases)
            self._releases = []
        if not self:
            self._titles.clear()

    def _conclude(self, ends: Sequence[RunEnd | RunRetry], landed: Collection[int]) -> None:
        """Say what has landed, and give back the rest."""
        for end in ends:
            if end.run.job_id not in landed:
                self._releases.append(RunRelease(run=end.run, evidence=end.evidence))
            elif isinstance(end, RunRetry):
                self._tell("a job is tried again", end.run, end.error)
            elif end.status is not Status.SUCCESS:
                self._tell("a job failed", end.run, f"{end.status}: {end.error}")

    def _tell(self, event: str, run: RunRef, reason: str) -> None:
        name = self._titles.get(run.job_id)
        _log.warning(event, job_id=run.job_id, name=name, reason=shown(reason))

    def _landed(
        self, ends: Sequence[_End], write: Callable[[Actor, Sequence[_End]], set[int]]
    ) -> set[int]:
        """The jobs that ``write`` moved. What the database refuses must not hold up the others, nor
        for ever itself: what is refused alone ends with just that.
        """
        try:
            return write(self._actor, ends)
        except StoreUnavailable:
            raise  # those that have landed are known to have, when they are written again
        except Exception as error:  # noqa: BLE001 - it is logged, or each half is written
            if len(ends) == 1:
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                self._tell("the database refused how a run ended", ends[0].run, reason)
                return self._store.finish(self._actor, [refused(ends[0], error)])
        return self._landed_alone(ends, write)

    def _landed_alone(
        self, ends: Sequence[_End], write: Callable[[Actor, Sequence[_End]], set[int]]
    ) -> set[int]:
        """As ``_landed``, of halves: until the bad one stands alone."""
        half = (len(ends) + 1) // 2
        halves = filter(None, (ends[:half], ends[half:]))
        return set().union(*(self._landed(part, write) for part in halves))


def shown(reason: str) -> str:
    """A reason in one line: a traceback says it in its last."""
    lines = reason.strip().splitlines() or [""]
    return lines[-1][: limits.REASON_CHARACTERS_SHOWN]
