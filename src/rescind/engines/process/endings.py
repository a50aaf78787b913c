"""How a run has ended, in the words that its worker takes it in."""

import signal

from rescind.engines.process.frames import BROKEN_EXIT, Message
from rescind.engines.process.tree import Force
from rescind.engines.protocol import Ending

_EVIDENCE = {
    Force.NONE: "STOPPED_ITSELF",
    Force.TERMINATED: "TERMINATED",
    Force.KILLED: "KILLED",
}
_FORCE = {-signal.SIGTERM: Force.TERMINATED, -signal.SIGKILL: Force.KILLED}
"""The means that an exit status tells of, whoever used it."""


_SAID = ("ending", "result", "error", "noticed")


def done_of(message: Message) -> Message:
    """What a run said of its end. Raises KeyError, TypeError or ValueError if it is none."""
    Ending(message["ending"])
    return {name: message[name] for name in _SAID}


def ending_of(
    *,
    done: Message | None,
    entered: bool,
    noticed: bool,
    told_to_stop: bool,
    status: int | None,
    force: Force,
    broken: str | None,
) -> Message:
    """``done``: what the run itself said of its end; ``entered``: it said that it was about to
    enter its function; ``noticed``: that this had noticed the stop; ``status``: how its process
    exited, negative for a signal, None if nobody saw it; ``force``: what ending it took;
    ``broken``: why it could not be understood any more.
    """
    found = done or {
        "ending": "NOT_ENTERED",
        "result": None,
        "error": None,
        "noticed": noticed,
    }
    if done is None:
        force = max(force, _FORCE.get(status or 0, Force.NONE))
        if entered and told_to_stop:
            found["ending"] = "STOPPED"
        elif entered:
            found |= {"ending": "DIED", "error": broken or _exit_words(status)}
    return {**found, "evidence": _EVIDENCE[force] if entered else "NEVER_STARTED"}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # Python names only the first and the last of the real-time signals
        return f"SIGRTMIN+{number - signal.SIGRTMIN}"


def _exit_words(status: int | None) -> str:
    if status is None:
        return "The process that watched over the job was ended, and the job with it."
    if status < 0:
        return f"The job's process was ended by {_signal_name(-status)}."
    if status == BROKEN_EXIT:
        return "The job's process lost its connection: did its code close all files?"
    return f"The job's process exited with status {status}."
