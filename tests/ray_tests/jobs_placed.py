"""Jobs that ask for much, or little, of their node."""

import os

from rescind import JobContext, job


@job("small__c", cpus=0.5)
def small(context: JobContext) -> str:
    return os.environ["RAY_RAYLET_PID"]


@job("holds__c", cpus=3)
def holds(context: JobContext) -> None:
    context.log("entered")
    context.sleep(3_600)


@job("wide__c", cpus=3)
def wide(context: JobContext) -> str:
    context.sleep(2)
    return os.environ["RAY_RAYLET_PID"]


@job("half__c", cpus=2)
def half(context: JobContext) -> None:
    """Of a node."""


@job("vast__c", cpus=64)
def vast(context: JobContext) -> None:
    """No node has so many."""


@job("greedy__c", memory_mib=32 * 1024 * 1024)
def greedy(context: JobContext) -> None:
    """No node has so much."""
