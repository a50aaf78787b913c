"""One run as its keeper knows it: what it and its init have said, and how far it is on its way to
the proof that nothing of it is left.
"""

from collections.abc import Callable
from enum import IntEnum

from rescind import limits
from rescind.clock import Clock
from rescind.engines.process.endings import done_of, ending_of
from rescind.engines.process.frames import Message
from rescind.engines.process.init import ASK_ALONE, ASK_PROGRAMS, KILL, TERMINATE
from rescind.engines.process.output import Output
from rescind.engines.process.telling import Step, Telling
from rescind.engines.process.tree import Force
from rescind.engines.process.voice import Voice
from rescind.engines.process.watcher import Watcher


class Stage(IntEnum):
    """How far a run is. Time leads from each to the next, and force to a later one at once."""

    GOING = 0
    LEAVING = 1
    """Its function has ended: its threads and exit functions have a moment."""
    TERMINATING = 2
    KILLING = 3


class Links:
    """What connects a keeper with one process for runs, and its init."""

    def __init__(self, clock: Clock, send: Callable[[Message], None]) -> None:
        self.voice = Voice()
        self.output = Output(clock, send)
        self.init = Watcher(clock)
        self.handed = [self.init.handed, self.voice.handed, self.output.handed]
        """The other ends, for the warm parent."""

    def close(self) -> None:
        """Let go of them."""
        self.voice.close()
        self.output.close()
        self.init.close()


class Kept:
    """See the module. It waits for its order first, for which it must be ready within
    ``ready_seconds``; ``send`` takes what its worker is told. ``processor``: the one that its
    process has served, and waits to serve again.
    """

    def __init__(
        self,
        clock: Clock,
        send: Callable[[Message], None],
        links: Links,
        *,
        ready_seconds: float = 0.0,
        processor: str | None = None,
    ) -> None:
        self._clock = clock
        self._ready_by = clock.elapsed() + ready_seconds
        self._send = send
        self._links = links
        self._voice, self._output, self._init = links.voice, links.output, links.init
        self._voice.on_message, self._init.on_message = self._heed, self._heed_init
        self._init.begin()
        self.processor = processor
        self.ready = processor is not None
        """It waits for its order."""
        self.served = False
        """Its run is over, and its process fit for another."""
        self.id: list[int] | None = None
        self.ended = False
        """Nothing of it is left, as its keeper has found out."""
        self.import_error: str | None = None
        self._exited = False
        self._left = 0
        self._fenced = False
        self._entered = False
        self._done: Message | None = None
        self._telling: Telling | None = None
        self._noticed = False
        self._fence_at: float | None = None
        self._stage = Stage.GOING
        self._stage_until: float | None = None
        self._stubborn_at: float | None = None

    @property
    def gone(self) -> bool:
        """Nothing of it is left; its init says so."""
        return self._init.gone

    @property
    def lost(self) -> bool:
        """Its init says nothing any more."""
        return self._init.lost

    # What its worker asks for

    def order(self, message: Message) -> None:
        """It is to run this."""
        self.ready, self.id = False, message["run"]
        self.processor = message["processor"]
        self._order = message
        self._fence_at = message["fence_at"]
        self._output.begin(message["run"], message["mark"])
        self._voice.send(message)

    def dismiss(self) -> None:
        """There is no other run for its process."""
        self.ready = False
        self._voice.send({"do": "leave"})
        self._leave()

    def obey(self, message: Message) -> None:
        """A permit, a stop or a later fence."""
        match message["do"]:
            case "permit":
                # When its end is due nothing is entered any more: we may have stood still.
                if self._stage is Stage.GOING and not self._is_due():
                    self._voice.send(message)
            case "stop" if self._telling is None:
                self._telling = Telling(
                    self._clock.elapsed(),
                    self._order["grace_seconds"],
                    self._order["interrupt_seconds"],
                )
                if message["reason"] == "CANCEL":
                    self._output.begin_after_cancel()
                self._voice.send(message)
            case "fence":
                self._fence_at = message["fence_at"]
            case _:
                pass  # a second stop: the first reason stays

    # Time

    @property
    def due(self) -> float | None:
        """When there is something to do, as things stand."""
        dues = [at for at in (self._due, self._output.due) if at is not None]
        return min(dues, default=None)

    @property
    def _due(self) -> float | None:
        if self.lost or self.gone:
            return None
        found = [self._stage_until, self._init.due]
        if self._gets_ready and self._stage < Stage.KILLING:
            found.append(self._ready_by)
        if self._telling is not None:
            if self._stage is Stage.GOING:
                found.append(self._telling.due)
            if self._stage < Stage.TERMINATING:
                found.append(self._telling.force_at)
        if self._stage < Stage.KILLING:
            found.append(self._fence_at)
        return min((at for at in found if at is not None), default=None)

    @property
    def _gets_ready(self) -> bool:
        return self.processor is None and not self.ready

    def _is_due(self) -> bool:
        return self._due is not None and self._clock.elapsed() >= self._due

    def act(self) -> None:
        """Do what is due."""
        self._output.act()
        if not self._is_due():
            return
        now = self._clock.elapsed()
        self._init.act()
        if self.lost:
            return
        if self._gets_ready:
            if now >= self._ready_by:
                self.kill()  # something has stopped it
        elif self._fence_at is not None and now >= self._fence_at:
            self._fenced = True
            self._output.say("Stopped: its lease could not be renewed in time")
            self.kill()  # there is no time left to be polite in
        elif self._stage is Stage.TERMINATING:
            self.kill()
        elif self._stage is Stage.GOING and not self._is_forced(now):
            self._tell(now)
        else:
            self._say_forced()
            self._terminate()

    def _is_forced(self, now: float) -> bool:
        return self._telling is not None and now >= self._telling.force_at

    def _tell(self, now: float) -> None:
        """Take the next step of a stop that the function has not noticed."""
        assert self._telling is not None
        match step := self._telling.take(now):
            case Step.PREPARE:
                self._voice.send({"do": "prepare", "run": self.id})
            case Step.ASK_PROGRAMS:
                self._init.order(ASK_PROGRAMS)
            case _:
                insist = step is Step.INSIST
                self._voice.send({"do": "interrupt", "run": self.id, "insist": insist})

    def _say_forced(self) -> None:
        if self._stage is Stage.LEAVING and self._left:
            self._output.say(f"{self._left} processes that the job had left behind were ended")
        elif self._stage is Stage.LEAVING and not self._exited:
            self._output.say(
                "Threads or exit functions of the job did not end; they are ended by force"
            )
        elif self._stage is Stage.GOING and self._entered:
            seconds = self._order["grace_seconds"]
            self._output.say(
                f"It has not stopped within its grace of {seconds:g} seconds: it is ended by "
                "force, and what it has not cleaned up stays"
            )

    def _terminate(self) -> None:
        seconds = limits.LEAVE_SECONDS
        if self._stage is Stage.GOING:
            seconds = self._order["terminate_seconds"]
        self._advance(Stage.TERMINATING, seconds, TERMINATE)

    def kill(self) -> None:
        """End it by force at once; it is over when it is ``gone``, or ``lost``."""
        if self._stage < Stage.KILLING:
            self._stubborn_at = self._clock.elapsed() + limits.STUBBORN_SECONDS
        self._advance(Stage.KILLING, None, KILL)

    def _advance(self, stage: Stage, seconds: float | None, order: bytes | None = None) -> None:
        if stage > self._stage:
            until = None if seconds is None else self._clock.elapsed() + seconds
            self._stage, self._stage_until = stage, until
            if order is not None:
                self._init.order(order)

    # What it says

    def descriptors(self) -> list[int]:
        """What to listen to of the run."""
        return [*self._voice.descriptors(), *self._output.descriptors()]

    def init_descriptors(self) -> list[int]:
        """What to listen to however much the run says."""
        return self._init.descriptors()

    def hear_init(self) -> None:
        """Take in what its init said."""
        self._init.hear()

    def _heed_init(self, message: Message) -> None:
        match message["is"]:
            case "exited":
                self._heed_exit(message["left"])
            case "killing":
                self.say_stubborn(message["pids"])
            case "alone" if message["alone"] and self._may_serve():
                self.served = True
            case "alone":
                self._voice.send({"do": "leave"})
                self._leave()
            case _:
                self._heed_no_programs()

    def _heed_exit(self, left: int) -> None:
        """The run's own process has ended, and something that it started has not."""
        self._exited, self._left = True, left
        if self._stage >= Stage.TERMINATING:
            return
        self._leave()
        if left and not self._waits_for_programs():
            self._say_forced()
            self._terminate()

    def _leave(self) -> None:
        self._advance(Stage.LEAVING, limits.LEAVE_SECONDS)
        if self._telling is not None and self._waits_for_programs():
            self._stage_until = self._telling.programs_until

    def _waits_for_programs(self) -> bool:
        return self._telling is not None and self._telling.programs_until is not None

    def _heed_no_programs(self) -> None:
        now = self._clock.elapsed()
        if self._telling is not None:
            self._telling.programs_ended(now)
        if self._stage is Stage.LEAVING:
            self._stage_until = now + limits.LEAVE_SECONDS

    def say_stubborn(self, pids: list[int]) -> None:
        """Once: what SIGKILL does not end (another user's, or in uninterruptible sleep)."""
        if self._stubborn_at is not None and self._clock.elapsed() >= self._stubborn_at:
            self._stubborn_at = None
            shown = ", ".join(str(pid) for pid in sorted(pids))
            self._output.say(f"SIGKILL has not ended the processes {shown}; still trying")

    def hear(self) -> None:
        """Take in some of what the run said and printed."""
        self._output.hear()
        self._voice.hear()
        if self._voice.broken is not None:
            self.kill()
        elif not self._voice.connected:
            # It has ended, or closed all its files: its init should know, if it still answers.
            self._init.ask()

    def _heed(self, message: Message) -> None:
        kind = message["is"]
        if self.processor is None:
            self.ready = kind == "ready"
            self.import_error = message.get("error")
        elif self.id is not None and message["run"] == self.id:
            if kind in ("progress", "asks"):
                self._send(message)
            elif kind == "entered":
                self._entered = True
            elif kind == "prepared" and self._telling is not None:
                self._telling.prepared(self._clock.elapsed())
            elif kind == "noticed":
                self._heed_notice(noticed=message["noticed"])
            elif kind == "done" and self._done is None:
                self._done = done_of(message)
                if message["again"]:
                    self._init.order(ASK_ALONE)
                else:
                    self._leave()

    def _may_serve(self) -> bool:
        """Never after a stop, or when its end has begun, or if it cannot be heard any more."""
        heard = self._voice.connected and self._output.is_open
        going = self._stage is Stage.GOING and not self._is_due()
        return heard and going and self._telling is None

    def _heed_notice(self, *, noticed: bool) -> None:
        self._noticed = noticed
        if self._telling is not None and noticed:
            self._telling.noticed()
        elif self._telling is not None:
            self._telling.not_noticed(self._clock.elapsed())

    # How it ended

    def end(self) -> None:
        """Hear its last words, and tell its worker how it ended if it had an order."""
        self._voice.hear_rest()
        self._output.hear_rest()
        if self.id is not None:
            ending = ending_of(
                done=self._done,
                entered=self._entered,
                noticed=self._noticed,
                told_to_stop=self._telling is not None or self._fenced,
                status=self._init.status,
                force=self._init.force if self.gone or self.served else Force.KILLED,
                broken=self._voice.broken,
            )
            self._send({"is": "ended", "run": self.id, **ending})

    def close(self) -> None:
        """Let go of it."""
        self._links.close()

    def again(self) -> "Kept":
        """The same process, waiting for another run."""
        return Kept(self._clock, self._send, self._links, processor=self.processor)
