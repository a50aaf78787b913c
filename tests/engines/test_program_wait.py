"""The moment when a wait for a program is over, and where it is told."""

import os
import sys

import pytest

from rescind.engines.program_wait import ProgramWait


class Ended(Exception):
    """What the wait's end raises."""


class Finalised:
    """Sees the program end."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def __del__(self) -> None:
        os.write(self._pipe, b"ended")


def test_what_would_be_lost_in_a_finaliser_is_told_after_it() -> None:
    ended, program = os.pipe()
    reached: list[str] = []

    def on_over() -> None:
        raise Ended

    def waits() -> None:
        found = Finalised(program)
        ProgramWait(sys._getframe(), [ended], on_over).begin()
        del found
        reached.append("the next step")

    try:
        with pytest.raises(Ended):
            waits()
        assert not reached
    finally:
        sys.setprofile(None)
        os.close(program)
