"""What a worker says to a keeper, wherever that is."""

import msgspec

from rescind import ids
from rescind.engines.process.frames import Message
from rescind.engines.protocol import Order, StopReason
from rescind.model import RunRef


def run_message(order: Order) -> Message:
    """Run this; the mark tells what the run says from what it prints."""
    return {
        "do": "run",
        "run": [order.run.job_id, order.run.attempt],
        "processor": order.processor,
        "parameters": msgspec.json.encode(order.parameters),
        "grace_seconds": order.grace_seconds,
        "interrupt_seconds": order.interrupt_seconds,
        "terminate_seconds": order.terminate_seconds,
        "mark": ids.mark(),
    }


def permit_message(run: RunRef, *, allowed: bool) -> Message:
    """Whether the run may enter its function."""
    return {"do": "permit", "run": [run.job_id, run.attempt], "allowed": allowed}


def stop_message(run: RunRef, reason: StopReason) -> Message:
    """Stop the run."""
    return {"do": "stop", "run": [run.job_id, run.attempt], "reason": reason}
