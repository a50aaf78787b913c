"""The takeover ends what has ended, once, however its keeper tells."""

from collections.abc import Collection

from rescind import limits
from rescind.model import RunRef
from rescind.runtime.takeover import Takeover

ONE, TWO, THREE = RunRef(1, 1), RunRef(2, 1), RunRef(3, 2)


class Runs:
    """A store that notes what was ended, and keepers as the test says."""

    def __init__(self, going: dict[str, RunRef | None]) -> None:
        self.ended: list[RunRef] = []
        self.going = going
        self.takeover = Takeover(self, dict(going), self.look)

    def end_runs(self, runs: Collection[RunRef]) -> None:
        self.ended += runs

    def look(self, among: Collection[str]) -> dict[str, RunRef | None]:
        return {place: run for place, run in self.going.items() if place in among}


def test_runs_end_when_their_keeper_is_gone_or_keeps_them_no_longer() -> None:
    runs = Runs({"a": ONE, "b": TWO, "c": THREE, "d": None})
    assert runs.takeover.step() == limits.TAKEOVER_POLL_SECONDS
    assert runs.ended == []
    runs.going = {"b": None, "c": THREE, "d": None}
    runs.takeover.step()
    assert runs.ended == [ONE, TWO]
    runs.going = {"c": THREE, "new": ONE}
    runs.takeover.step()
    assert runs.ended == [ONE, TWO]
    runs.going = {}
    runs.takeover.step()
    assert runs.ended == [ONE, TWO, THREE]
    assert runs.takeover.step() == limits.TAKEOVER_IDLE_SECONDS
