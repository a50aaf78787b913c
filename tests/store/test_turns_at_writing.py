"""Who writes to a SQLite file has a turn in the order of asking."""

import threading
from collections.abc import Callable

import pytest

from processes import HANG_SECONDS
from rescind.store.sqlite.turns import Turns
from store.harness import eventually


def start(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def test_who_has_waited_the_longest_is_next_whoever_asks_again() -> None:
    turns, order = Turns(), list[str]()

    def take(name: str) -> None:
        with turns:
            order.append(name)

    threads = []
    with turns:
        for waiting, name in enumerate("abc", start=1):
            threads.append(start(lambda name=name: take(name)))  # type: ignore[misc]  # bound now
            assert eventually(lambda waiting=waiting: len(turns._waiting) == waiting)  # type: ignore[misc]
    take("again")
    for thread in threads:
        thread.join(HANG_SECONDS)
    assert order == ["a", "b", "c", "again"]
    take("free")
    assert not turns._taken


def test_an_error_gives_the_turn_on() -> None:
    turns = Turns()
    with pytest.raises(KeyError), turns:
        raise KeyError
    with turns:
        pass


def test_whoever_is_interrupted_while_waiting_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = Turns()

    class Interrupted:
        """A lock that a signal interrupts the second time somebody wants it."""

        def __init__(self) -> None:
            self._asked = 0

        def acquire(self) -> None:
            self._asked += 1
            if self._asked == 2:
                raise KeyboardInterrupt

    with turns:
        monkeypatch.setattr(threading, "Lock", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            turns.__enter__()
        monkeypatch.undo()
        assert not turns._waiting
    with turns:
        pass
