"""Jobs that do nothing, for bench/throughput.py and bench/latency.py."""

from rescind import JobContext, job


@job("noop__c", idempotent=True)
def noop(context: JobContext) -> None:
    pass


@job("noop_again__c", idempotent=True, runs_per_process=1000)
def noop_again(context: JobContext) -> None:
    pass
