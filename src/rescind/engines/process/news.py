"""What a keeper says, as the worker hears it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import structlog

from rescind.clock import from_milliseconds
from rescind.engines.process.frames import Message
from rescind.engines.protocol import Alive, Asked, Ended, Ending, EngineEvent, Logged, Progressed
from rescind.lifecycle import Evidence
from rescind.model import RunRef

_log = structlog.get_logger()


def events_of(message: Message) -> Iterator[EngineEvent]:
    """What a message about a run tells.

    Raises KeyError, TypeError or ValueError if it is none.
    """
    run = RunRef(*message["run"])
    match message["is"]:
        case "asks":
            yield Asked(run)
        case "log":
            at = from_milliseconds(message["at"])
            after = message["after_cancel"]
            yield from (Logged(run, at, line, after) for line in message["lines"])
        case "alive":
            yield Alive(run)
        case "progress":
            yield Progressed(run, message["done"], message["total"])
        case "ended":
            yield Ended(
                run=run,
                ending=Ending(message["ending"]),
                evidence=Evidence(message["evidence"]),
                result=_result(message["result"]),
                error=message["error"],
                noticed=message["noticed"],
            )
        case kind:
            raise ValueError(f"a keeper said {kind}")


def _result(payload: bytes | None) -> Any:
    return None if payload is None else msgspec.json.decode(payload)


def tell_warm(message: Message, asked: str) -> None:
    """Log how runs come to the job modules, and what these have opened."""
    if message["how"] == "fork":
        _log.info("runs are forked from a process that has imported the job modules", warm=asked)
    else:
        why = message["why"] or "it is set so"
        _log.info("each run imports the job modules itself", warm=asked, why=why)
    if message["opened"]:
        _log.warning(
            "importing the job modules opened what all runs share; open it in the job's function",
            opened=message["opened"],
        )
