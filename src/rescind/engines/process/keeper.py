"""The keeper: one slot's guardian. It has a warm parent fork runs, stands between each of them and
the worker, keeps their times, and sees them ended.

A program of its own with a single thread; it imports no user code. When its pipe to the worker
closes, the worker is gone: it ends everything and exits.
"""

import select
import socket
import sys
from pathlib import Path

from rescind import limits
from rescind.clock import SystemClock
from rescind.engines.process.frames import FrameReader, Message, frame
from rescind.engines.process.kept import Kept, Links
from rescind.engines.process.parent import Parent
from rescind.engines.process.run_file import RunFile
from rescind.engines.process.system import Wakeups, become_subreaper, name_process
from rescind.engines.process.tree import kill_children, reap
from rescind.model import RunRef

_READ_BYTES = 64 * 1024


class Keeper:
    """See the module."""

    def __init__(
        self, clock: SystemClock, worker: socket.socket, parent: Parent, file: RunFile | None
    ) -> None:
        self._clock = clock
        self._worker = worker
        self._frames = FrameReader()
        self._out = bytearray()
        self._wakeups = Wakeups()
        self._file = file
        self._parent = parent
        self._run: Kept | None = None
        self._spare: Kept | None = None
        """The next run: it gets ready while the slot is busy, so that no claim waits for it."""
        self._served: list[Kept] = []
        """Processes that have served a run: one may wait for the next of its processor; others are
        leaving.
        """
        self._told_ready = False
        self._again_at: float | None = None
        """When the next run is tried again, after it could not be made ready."""

    def keep(self) -> None:
        """Serve until the worker is gone; then end everything."""
        while self._hear_worker():
            self._make_ready()
            self._turn(self._worker.fileno())
        for kept in self._all():
            kept.kill()
        while self._all():
            self._turn()
        self._end_all()

    def _all(self) -> list[Kept]:
        # That there is no next run is said before the end of this one.
        return [kept for kept in (self._spare, self._run, *self._served) if kept is not None]

    def _turn(self, *worker: int) -> None:
        """Wait until something happens, and take it in."""
        self._wait(*worker)
        self._flush()
        reap(self._parent.heed_exit)
        listening = self._is_listening()
        for kept in self._all():
            kept.hear_init()
            if listening:
                kept.hear()
            kept.act()
        self._bury()
        # Another that is lost waits: to end all that is below would take an innocent run along.
        if any(kept.lost for kept in ([self._run] if self._run is not None else self._all())):
            self._end_all()
            self._bury()

    # What is waited for

    def _is_listening(self) -> bool:
        """A worker that does not keep up must hold back the run, never us."""
        return len(self._out) < limits.FRAME_BYTES_MAX

    def _wait(self, *worker: int) -> None:
        poll = select.poll()
        poll.register(self._wakeups.descriptors[0], select.POLLIN)
        for number in worker:
            poll.register(number, select.POLLIN | (select.POLLOUT if self._out else 0))
        numbers = self._parent.descriptors()
        for kept in self._all():
            numbers += kept.init_descriptors()
            numbers += kept.descriptors() if self._is_listening() else []
        for number in numbers:
            poll.register(number, select.POLLIN)
        poll.poll(self._milliseconds())
        self._wakeups.drain()

    def _milliseconds(self) -> float | None:
        due = [kept.due for kept in self._all()]
        due += [self._again_at, self._parent.due, self._own_due()]
        at = min((one for one in due if one is not None), default=None)
        if at is None:
            return None
        # The system's wait does not count a suspension; our clock does.
        return max(0.0, min(at - self._clock.elapsed(), limits.KEEPER_LOOK_SECONDS)) * 1000

    def _own_due(self) -> float | None:
        """When a keeper of another kind has something to do by itself."""
        return None

    def _hear_worker(self) -> bool:
        """Take in what the worker said; False when it is gone."""
        while True:
            try:
                data = self._worker.recv(_READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            for message in self._frames.feed(self._opened(data)):
                self._obey(message)

    def _obey(self, message: Message) -> None:
        if message["do"] == "run":
            self._start(message)
        elif self._run is not None and self._run.id == message["run"]:
            self._run.obey(message)

    def _start(self, message: Message) -> None:
        if self._run is None and (kept := self._waiting(message["processor"])) is not None:
            self._run, self._told_ready = kept, False
            self._name(RunRef(*message["run"]))
            self._run.order(message)
            return
        # The one that was ready has ended meanwhile: nothing was entered.
        self._send(
            {
                "is": "ended",
                "run": message["run"],
                "ending": "NOT_ENTERED",
                "evidence": "NEVER_STARTED",
                "result": None,
                "error": None,
                "noticed": False,
            }
        )

    def _waiting(self, processor: str) -> Kept | None:
        """A process for a run: one that has served its processor, or the next run's."""
        for kept in [kept for kept in self._served if kept.ready and not kept.lost]:
            if kept.processor == processor:
                self._served.remove(kept)
                return kept
            kept.dismiss()
        if self._spare is None or not self._spare.ready:
            return None
        spare, self._spare = self._spare, None
        return spare

    # The next run, and how runs end

    def _make_ready(self) -> None:
        """See to it that there is a next run, and say when it is ready."""
        if self._spare is not None:
            if self._spare.ready and not self._told_ready:
                self._told_ready = True
                self._send({"is": "ready"})
            return
        if self._again_at is not None and self._clock.elapsed() < self._again_at:
            return
        self._again_at = None
        if told := self._parent.look():
            self._send(told)
        if self._parent.error is not None:
            self._fail(self._parent.error)
            self._parent.error = None
        elif not self._parent.is_there:
            self._parent.start()
        elif self._parent.is_warm:
            seconds = self._parent.ready_seconds
            links = Links(self._clock, self._send)
            self._spare = Kept(self._clock, self._send, links, ready_seconds=seconds)
            lock = None if self._file is None else self._file.descriptor
            self._parent.fork(links.handed, lock)

    def _fail(self, error: str | None) -> None:
        """There is no next run; it is not tried again at once."""
        self._again_at = self._clock.elapsed() + limits.KEEPER_RESTART_SECONDS
        self._told_ready = False
        self._send({"is": "unready", "error": error})

    def _bury(self) -> None:
        """Tell the end of those of which nothing is left."""
        for kept in self._all():
            over = kept.gone or kept.ended
            if not over and not kept.served:
                continue
            if kept is self._run:
                self._name(None)
                self._run = None
            elif kept is self._spare:
                self._spare = None
                self._fail(kept.import_error)
            else:
                self._served.remove(kept)
            kept.end()
            if over:
                kept.close()
            else:
                self._served.append(kept.again())

    def _name(self, run: RunRef | None) -> None:
        if self._file is not None:
            self._file.name(run)

    def _end_all(self) -> None:
        """Kill all that is below, the warm parent too, until the kernel says that nothing is: an
        init that ended, or stands still, cannot say it of its run any more.
        """
        for kept in self._all():
            kept.kill()

        def say(pids: set[int]) -> None:
            if self._run is not None:
                self._run.say_stubborn(sorted(pids))
            self._flush()

        kill_children(self._clock, self._wakeups, self._parent.heed_exit, say)
        for kept in self._all():
            kept.ended = True

    # Talking to the worker

    def _opened(self, data: bytes) -> bytes:
        """What the worker has said, of what came, in a keeper of another kind."""
        return data

    def _sealed(self, data: bytes) -> bytes:
        """What is to be sent so that the worker hears ``data``, in a keeper of another kind."""
        return data

    def _send(self, message: Message) -> None:
        self._out += self._sealed(frame(message))
        self._flush()

    def _flush(self) -> None:
        while self._out:
            try:
                sent = self._worker.send(self._out, socket.MSG_DONTWAIT)
            except OSError:
                return  # full, or gone: the next wait shows which
            del self._out[:sent]


def main() -> None:
    """Keep: arguments are the socket, the run file or nothing, ``auto``, ``fork`` or ``fresh``,
    ``tree`` or ``group``, and the job modules.
    """
    number, run_file, how, reach, *modules = sys.argv[1:]
    name_process("rescind-keeper")
    worker = socket.socket(fileno=int(number))
    worker.set_inheritable(False)
    file = RunFile(Path(run_file)) if run_file else None
    if reach == "tree":
        become_subreaper()
    clock = SystemClock()
    parent = Parent(clock, modules, how=how, group_only=reach == "group")
    Keeper(clock, worker, parent, file).keep()
    if file is not None:
        file.remove()


if __name__ == "__main__":
    main()
