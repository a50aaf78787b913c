"""Jobs that go on for a while."""

import os

from rescind import JobContext, job


def _go_on(context: JobContext) -> None:
    context.log(f"entered as {os.getpid()}")
    context.sleep(float(context.parameters["seconds"]))


@job("again__c", idempotent=True)
def again(context: JobContext) -> None:
    """It may be started again."""
    _go_on(context)


@job("once__c")
def once(context: JobContext) -> None:
    """It may not."""
    _go_on(context)


@job("brief__c")
def brief(context: JobContext) -> None:
    """Half a second."""
    context.sleep(0.5)
