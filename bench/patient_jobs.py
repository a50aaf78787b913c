"""Jobs for the benches of restarts and absences."""

from rescind import JobContext, job


@job("short__c")
def short(context: JobContext) -> None:
    context.log("a short one")
    context.sleep(0.3)


@job("long__c", idempotent=True)
def long(context: JobContext) -> None:
    """It says ten times a second that it lives."""
    for done in range(int(context.parameters["seconds"] * 10)):
        context.progress(done, 10_000)
        context.log(f"{done} tenths of a second")
        context.sleep(0.1)
