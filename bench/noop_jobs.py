"""Jobs for bench/throughput.py and bench/latencies.py."""

import signal
import time

from rescind import JobContext, job


@job("noop__c", idempotent=True)
def noop(context: JobContext) -> None:
    pass


@job("noop_again__c", idempotent=True, runs_per_process=1000)
def noop_again(context: JobContext) -> None:
    pass


@job("cooperative__c")
def cooperative(context: JobContext) -> None:
    context.log("entered")
    context.sleep(600)


@job("interrupted__c", interrupt_seconds=0.1)
def interrupted(context: JobContext) -> None:
    context.log("entered")
    time.sleep(600)


@job("stubborn__c", grace_seconds=0.5, interrupt_seconds=None, terminate_seconds=0.25)
def stubborn(context: JobContext) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    context.log("entered")
    time.sleep(600)
