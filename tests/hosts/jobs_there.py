"""Jobs that say where they are."""

import os
from pathlib import Path

from rescind import JobContext, job


def _enter(context: JobContext) -> None:
    context.log(f"entered as {os.getpid()}")


@job("stays__c")
def stays(context: JobContext) -> None:
    """It may not be started again."""
    _enter(context)
    context.sleep(3_600)


@job("stays_again__c", idempotent=True)
def stays_again(context: JobContext) -> None:
    """It may."""
    _enter(context)
    context.sleep(3_600)


@job("ticks__c")
def ticks(context: JobContext) -> None:
    """Say so 60 times, and leave a mark of each on this machine, too."""
    _enter(context)
    with Path(context.parameters["folder"], str(context.job_id)).open("ab", buffering=0) as marks:
        for tick in range(60):
            marks.write(b".")
            context.log(f"tick {tick}")
            context.sleep(0.1)
