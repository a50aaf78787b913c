"""What tells the next owner of a store that runs on nodes may go on."""

from pathlib import Path

import pytest

from rescind import limits
from rescind.clock import SystemClock
from rescind.engines.ray.outliving import Outliving
from rescind.model import RunRef

CLOCK = SystemClock()
RUN = RunRef(7, 1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rescind.db.nodes"


def test_without_the_file_nothing_goes_on(path: Path) -> None:
    outliving = Outliving(path, CLOCK)
    assert not outliving.begin([RUN])
    assert outliving.going([RUN]) == {}
    outliving.clear()
    assert not path.exists()


def test_who_has_run_jobs_on_nodes_and_ended_them_leaves_nothing(path: Path) -> None:
    ours = Outliving(path, CLOCK)
    ours.mark()
    assert path.exists()
    assert ours.going([RUN]) == {}
    assert path.exists(), "ours may go on"
    ours.clear()
    assert not path.exists()


@pytest.mark.parametrize("marks", [False, True])
def test_what_an_earlier_owner_ran_goes_on_for_a_while_whoever_comes_and_goes(
    path: Path, monkeypatch: pytest.MonkeyPatch, *, marks: bool
) -> None:
    Outliving(path, CLOCK).mark()
    for _ in range(3):
        next_owner = Outliving(path, CLOCK)
        assert list(next_owner.begin([RUN])) == [RUN]
        if marks:
            next_owner.mark()
        assert next_owner.going([RUN]) == {RUN: RUN}
        next_owner.clear()
        assert path.exists()
    monkeypatch.setattr(limits, "NODE_SECONDS", 0.0)
    last = Outliving(path, CLOCK)
    last.begin([RUN])
    assert last.going([RUN]) == {}
    assert not path.exists()


def test_where_nothing_is_held_nothing_is_waited_for(path: Path) -> None:
    Outliving(path, CLOCK).mark()
    outliving = Outliving(path, CLOCK)
    assert not outliving.begin([])
    assert not path.exists()
