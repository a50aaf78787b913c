"""Jobs that do nothing, for bench/throughput.py."""

from rescind import JobContext, job


@job("noop__c", idempotent=True)
def noop(context: JobContext) -> None:
    pass
