"""How a run is told to stop, from the request to the exception: what is due when."""

from enum import IntEnum

from rescind import limits


class Step(IntEnum):
    """What is done in turn to a function that has not noticed."""

    PREPARE = 0
    """Find out whether it waits for a program."""
    ASK_PROGRAMS = 1
    """SIGTERM to its programs: who waits for one would kill it when interrupted."""
    INTERRUPT = 2
    INSIST = 3
    """Interrupt it even if it seems to be cleaning up."""
    DONE = 4


class Telling:
    """The times of one stop, in seconds of ``Clock.elapsed``. Programs, and then what seems to be
    clean-up, have half of what is left of the grace.
    """

    def __init__(self, now: float, grace_seconds: float, interrupt_seconds: float | None) -> None:
        self.force_at = now + grace_seconds
        self._next = Step.PREPARE
        self.due: float | None = None
        """When the next step is to be taken; None: there is none."""
        self.programs_until: float | None = None
        """Until when its programs have time to end, if they were asked and have not."""
        if interrupt_seconds is not None:
            self.due = now + min(interrupt_seconds, grace_seconds / 2)

    def take(self, now: float) -> Step:
        """The step that is due."""
        step, self._next = self._next, Step(self._next + 1)
        half = (now + self.force_at) / 2
        match step:
            case Step.PREPARE:
                self.due = min(now + limits.PREPARE_SECONDS, half)
            case Step.ASK_PROGRAMS:
                self.due = self.programs_until = half
            case Step.INTERRUPT:
                self.due, self.programs_until = half, None
            case _:
                self.due = None
        return step

    def prepared(self, now: float) -> None:
        """Nothing speaks against asking its programs to end."""
        if self._next is Step.ASK_PROGRAMS and self.due is not None:
            self.due = now

    def programs_ended(self, now: float) -> None:
        """Nothing speaks against interrupting it."""
        if self._next is Step.INTERRUPT and self.due is not None:
            self.due = now
        self.programs_until = None

    def not_noticed(self, now: float) -> None:
        """It seemed to have noticed, and has not: it is insisted."""
        self._next = Step.INSIST
        self.due = (now + self.force_at) / 2

    def noticed(self) -> None:
        """It need not be interrupted."""
        self.due = None
