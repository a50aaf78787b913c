"""The worker's side of the Ray engine: Ray finds a node with room, a keeper there keeps the run.

Ray decides nothing about a run's life: what its keeper says counts, and where that says nothing any
more, the time that it was given.
"""

import contextlib
import os
import select
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from rescind import limits
from rescind.clock import Clock
from rescind.engines.describe import checked, described
from rescind.engines.process.frames import MalformedFrameError, Message
from rescind.engines.process.news import events_of, tell_warm
from rescind.engines.process.orders import permit_message, run_message, stop_message
from rescind.engines.protocol import Ended, Ending, EngineEvent, Order, StopReason
from rescind.engines.ray.keeper import Spec
from rescind.engines.ray.lobby import Lobby
from rescind.engines.ray.outliving import Outliving
from rescind.engines.ray.place import Place, Shape, Stage
from rescind.engines.ray.placer_program import PlacerProgram
from rescind.engines.ray.room import Room
from rescind.engines.ray.sealing import Certificate
from rescind.lifecycle import Evidence
from rescind.model import JobMetadata, RunRef

_log = structlog.get_logger()

_LOST = "The node, or the keeper on it, was lost."


class RayEngine:
    """Runs each job on a node of a Ray cluster; see :class:`rescind.engines.protocol.Engine`.

    ``address``: Ray's, as ``ray.init`` takes it. ``host`` and ``port``: where keepers on nodes
    reach this worker; without a host, where Ray knows this node, and any free port.
    ``certificate``: with one, keepers speak with this worker within TLS.
    """

    def __init__(
        self,
        modules: Sequence[str],
        *,
        slots: int,
        clock: Clock,
        address: str,
        warm: str = "auto",
        host: str | None = None,
        port: int = 0,
        certificate: Certificate | None = None,
        outliving: Outliving | None = None,
    ) -> None:
        self._modules = list(modules)
        self._slots = slots
        self._clock = clock
        self._address = address
        self._warm = warm
        self._told_warm = False
        self._shapes: dict[str, Shape] = {}
        self._events: deque[EngineEvent] = deque()
        self._places: dict[str, Place] = {}
        self._by_run: dict[RunRef, Place] = {}
        self._withdrawn: deque[tuple[RunRef, StopReason]] = deque()
        """Told to stop before their keeper was there."""
        self._fence_at: float | None = None
        self._room = Room(clock)
        self._problem: str | None = None
        self._again_at = 0.0
        self._wake_read, self._wake_write = os.pipe()
        for number in (self._wake_read, self._wake_write):
            os.set_blocking(number, False)
        self._outliving = outliving
        self._placer = PlacerProgram(address, clock)
        with contextlib.ExitStack() as undo:
            undo.callback(self._placer.close)
            here = self._placer.reach()
            self._lobby = Lobby(clock, host or here, port, certificate)
            if outliving is not None:
                outliving.mark()
            undo.pop_all()

    def describe(self) -> Sequence[JobMetadata]:
        """See :meth:`Engine.describe`; asks a process of its own."""
        description = described(self._modules, self._warm)
        self._shapes = {
            processor: Shape(cpus, memory_mib)
            for processor, (cpus, memory_mib) in description.resources.items()
        }
        return checked(description)

    @property
    def problem(self) -> str | None:
        """See :meth:`Engine.problem`."""
        return self._problem

    def obstacles(self) -> Mapping[str, str]:
        """See :meth:`Engine.obstacles`."""
        by_shape = self._by_shape()
        shapes = self._shapes.items()
        return {processor: why for processor, shape in shapes if (why := by_shape[shape])}

    def _by_shape(self) -> dict[Shape, str | None]:
        idle, asked_at = self._held(), self._asked_at()
        asked = sum(map(len, asked_at.values()))
        return {
            shape: self._room.obstacle(
                shape, idle, asked, min(asked_at.get(shape, ()), default=None)
            )
            for shape in set(self._shapes.values())
        }

    def _asked_at(self) -> Mapping[Shape, list[float]]:
        """Since when Ray looks for places, by what they are to have."""
        found = defaultdict[Shape, list[float]](list)
        for place in self._places.values():
            if place.stage is Stage.ASKED:
                found[place.shape].append(place.waits_since)
        return found

    def _held(self) -> list[Shape]:
        """What is held for runs to come."""
        return [place.shape for place in self._idle()]

    def free(self) -> int:
        """See :meth:`Engine.free`: slots of this worker, as far as the cluster has room for any of
        the jobs that nothing stands in the way of: which of them are claimed, the store decides.
        """
        if self._clock.elapsed() < self._again_at:
            return 0
        idle = self._held()
        asked = sum(map(len, self._asked_at().values()))
        shapes = [shape for shape, obstacle in self._by_shape().items() if obstacle is None]
        room = min((self._room.count(shape, idle, asked) for shape in shapes), default=0)
        return max(0, min(self._slots - len(self._by_run), room))

    def _idle(self) -> list[Place]:
        """Those that wait for a run, and have not gone meanwhile: we may have stood still."""
        now = self._clock.elapsed()
        kept = [place for place in self._places.values() if place.stage is Stage.KEPT]
        return [
            place
            for place in kept
            if place.run is None and place.order is None and now < place.until
        ]

    def start(self, order: Order) -> None:
        """See :meth:`Engine.start`."""
        shape = self._shapes.get(order.processor, Shape())
        idle = self._idle()
        alike = [one for one in idle if one.shape == shape]
        place = max(alike, key=lambda one: one.ready, default=None)
        if place is None:
            if not self._room.has(shape):
                for other in idle:
                    other.let_go()  # what it holds may be what this one needs
            place = self._ask_for(shape)
        place.order, place.waits_since = order, self._clock.elapsed()
        self._by_run[order.run] = place
        if place.ready:
            self._send_order(place)

    def _ask_for(self, shape: Shape) -> Place:
        place = Place(shape, self._clock.elapsed())
        self._places[place.id] = place
        spec = Spec(
            id=place.id,
            secret=place.secret,
            host=self._lobby.host,
            port=self._lobby.port,
            certificate=self._lobby.certificate,
            modules=self._modules,
            warm=self._warm,
            folder=os.getcwd(),  # noqa: PTH109 - as it travels
        )
        self._placer.say(
            {
                "do": "place",
                "id": place.id,
                "spec": msgspec.msgpack.encode(spec),
                "cpus": shape.cpus,
                "memory_mib": shape.memory_mib,
            }
        )
        return place

    def _send_order(self, place: Place) -> None:
        order, place.order = place.order, None
        assert order is not None
        if not place.start(order.run, run_message(order)):
            self._lose(place)

    def permit(self, run: RunRef, allowed: bool) -> None:
        """See :meth:`Engine.permit`."""
        if place := self._by_run.get(run):
            message = permit_message(run, allowed=allowed)
            place.permit(run, message)

    def stop(self, run: RunRef, reason: StopReason) -> None:
        """See :meth:`Engine.stop`."""
        if place := self._by_run.get(run):
            message = stop_message(run, reason)
            if not place.stop(run, message):
                self._withdrawn.append((run, reason))
                self.wake()
            elif place.unsent:
                self.wake()

    def fence(self, at: float) -> None:
        """See :meth:`Engine.fence`."""
        self._fence_at = at
        seconds = at - self._clock.elapsed()
        if seconds <= 0:
            for place in list(self._places.values()):
                place.send({"do": "end", "seconds": 0.0})

    def poll(self, timeout_seconds: float) -> list[EngineEvent]:
        """See :meth:`Engine.poll`."""
        poll = select.poll()
        heard_by = {
            place.socket.fileno(): place
            for place in self._places.values()
            if place.socket is not None
        }
        for number in (self._wake_read, *self._lobby.descriptors()):
            poll.register(number, select.POLLIN)
        for number, place in heard_by.items():
            poll.register(number, select.POLLIN | (select.POLLOUT if place.unsent else 0))
        if self._placer.socket is not None:
            unsent = select.POLLOUT if self._placer.unsent else 0
            poll.register(self._placer.socket, select.POLLIN | unsent)
        seconds = min(timeout_seconds, limits.KEEPER_LOOK_SECONDS)
        ready = dict(poll.poll(0 if self._events else seconds * 1000))
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 512):
                pass
        for number in ready.keys() & heard_by.keys():
            heard_by[number].flush()
            if ready[number] != select.POLLOUT:
                self._hear(heard_by[number])
        for place, guest in self._lobby.welcome(self._places):
            place.connect(guest.connection, guest.sealing, self._seconds(), self._clock.elapsed())
        for message in self._placer.hear():
            self._heed_placer(message)
        self._withdraw()
        self._look_after()
        heard = list(self._events)
        self._events.clear()
        return heard

    def wake(self) -> None:
        """See :meth:`Engine.wake`."""
        with contextlib.suppress(OSError):  # full, which wakes; or closed
            os.write(self._wake_write, b"!")

    def close(self) -> None:
        """See :meth:`Engine.close`. Each keeper says that nothing is left; one that cannot be heard
        any more has ended when its time is up.
        """
        for place in list(self._places.values()):
            if place.stage is Stage.ASKED:
                self._drop(place)
            elif place.stage is Stage.KEPT:
                place.let_go()
        while self._places:
            self.poll(limits.KEEPER_LOOK_SECONDS)
        if self._outliving is not None:
            self._outliving.clear()
        self._placer.close()
        self._lobby.close()
        for descriptor in {self._wake_read, self._wake_write} - {-1}:
            os.close(descriptor)
        self._wake_read = self._wake_write = -1

    # Keepers

    def _seconds(self) -> float:
        """How long a keeper may go on from now without hearing more."""
        most = limits.NODE_SECONDS - limits.LEASE_MARGIN_SECONDS
        if self._fence_at is None:
            return most
        return max(0.0, min(most, self._fence_at - self._clock.elapsed()))

    def _hear(self, place: Place) -> None:
        try:
            heard = place.hear()
            for message in heard or ():
                self._heed(place, message)
        except (MalformedFrameError, KeyError, TypeError, ValueError, OSError):
            _log.exception("a keeper could not be understood")
            heard = None
        if heard is None:
            self._lose(place)

    def _heed(self, place: Place, message: Message) -> None:
        match message["is"]:
            case "beat":
                seconds = self._seconds()
                place.may_go_on(self._clock.elapsed() + seconds)
                place.send({"do": "go on", "beat": message["beat"], "seconds": seconds})
            case "ready" | "unready" if place.stage is Stage.KEPT:
                self._heed_ready(place, message)
            case "ready" | "unready":
                pass  # it was told to end
            case "gone":
                self._drop(place)
            case "warm":
                if not self._told_warm:  # all import the same modules
                    self._told_warm = True
                    tell_warm(message, self._warm)
            case _:
                for event in events_of(message):
                    if isinstance(event, Ended):
                        place.run, place.idle_at = None, self._clock.elapsed()
                        self._by_run.pop(event.run, None)
                    self._events.append(event)

    def _heed_ready(self, place: Place, message: Message) -> None:
        place.ready = message["is"] == "ready"
        if not place.ready:
            # Another node may be better: nobody is held up but who waits for this one.
            self._tell(message["error"] or "The next job's process could not start.")
            if place.order is None and place.run is None:
                place.let_go()
            return
        self._problem = None
        if place.order is not None:
            self._send_order(place)

    def _tell(self, error: str) -> None:
        if self._problem != error:  # it is tried again and again
            _log.error("jobs cannot start", error=error)
        self._problem = error

    def _fail(self, error: str) -> None:
        """Nothing is started for a moment."""
        self._tell(error)
        self._again_at = self._clock.elapsed() + limits.KEEPER_RESTART_SECONDS

    def _lose(self, place: Place) -> None:
        """Its connection is no more. What may have been entered may go on until its time is up."""
        place.close()
        if place.run is None or not place.permitted:
            self._drop(place)
        elif place.stage is not Stage.LOST:
            place.stage = Stage.LOST
            _log.error("a keeper on a node was lost", run=place.run.job_id)

    def _drop(self, place: Place) -> None:
        """It is over; what it was to run was never entered, and what ran has ended with it."""
        self._places.pop(place.id, None)
        if place.socket is None:
            self._placer.say({"do": "forget", "id": place.id})
        place.close()
        waited = place.order is not None  # for its keeper to be ready, or to be there at all
        run = place.order.run if place.order is not None else place.run
        place.run = place.order = None
        if run is None:
            return
        self._by_run.pop(run, None)
        lost = place.permitted and not waited
        self._events.append(
            Ended(
                run=run,
                ending=Ending.STOPPED if lost else Ending.NOT_ENTERED,
                evidence=Evidence.WORKER_LOST if lost else Evidence.NEVER_STARTED,
                error=_LOST if lost else None,
            )
        )

    def _withdraw(self) -> None:
        """End runs that were told to stop before they had been sent anywhere; one that has been
        sent meanwhile is told now.
        """
        while self._withdrawn:
            run, reason = self._withdrawn.popleft()
            place = self._by_run.get(run)
            if place is None or place.stop(run, stop_message(run, reason)):
                continue
            if place.stage is Stage.KEPT:
                place.let_go()
            self._drop(place)

    def _look_after(self) -> None:
        """Do what is due: who is silent for too long is lost, who idles gives its place back."""
        now = self._clock.elapsed()
        for place in list(self._places.values()):
            waits = place.stage is Stage.ASKED or place.order is not None
            seconds = limits.PLACE_SECONDS_MAX
            if place.stage is not Stage.ASKED:
                seconds += limits.IMPORT_SECONDS_MAX * len(self._modules)
            if waits and now >= place.waits_since + seconds:
                if place.stage is Stage.ASKED:
                    self._room.refuse(place.shape)
                place.let_go()
                self._drop(place)
            elif place.stage is not Stage.ASKED and place.is_over(now):
                self._hear_out(place)
        for place in self._idle():
            if now >= place.idle_at + limits.NODE_IDLE_SECONDS:
                place.let_go()
        self._placer.look_after(now)

    def _hear_out(self, place: Place) -> None:
        """Its time is over. What it said before is not lost, where we have stood still meanwhile
        and not heard it yet.
        """
        while place.id in self._places and place.is_over(self._clock.elapsed()):
            if not place.has_said_more():
                self._drop(place)
                return
            self._hear(place)

    # Ray

    def _heed_placer(self, message: Message) -> None:
        match message["is"]:
            case "nodes":
                self._room.heed(message["nodes"])
            case "unreachable":
                self._room.forget()
                self._fail(message["error"])
                for asked in list(self._places.values()):
                    if asked.stage is Stage.ASKED:
                        self._drop(asked)  # who has asked for it is gone, and Ray's task with it
            case "over":
                place = self._places.get(message["id"])
                if place is not None and place.stage is Stage.ASKED:
                    where = f"{self._lobby.host} port {self._lobby.port}"
                    self._fail(
                        message["error"] or f"A keeper could not reach its worker at {where}"
                    )
                    self._drop(place)
            case _:  # it has reached Ray, once more
                self._problem = None
