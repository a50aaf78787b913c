"""Jobs for ``bench/flood.py``."""

import os
import subprocess

from rescind import JobContext, job


@job("flood__c", interrupt_seconds=0.2)
def flood(context: JobContext) -> None:
    """Write as fast as can be, in the given way, until told to stop."""
    how = context.parameters["how"]
    if how == "program":
        subprocess.run(["yes"], check=False)
    while True:
        if how == "print":
            print("a line of a flood that is as long as lines are")
        elif how == "log":
            context.log("a line of a flood that is as long as lines are")
        else:
            os.write(1, b"a line of a flood that is as long as lines are\n" * 20)


@job("wait__c")
def wait(context: JobContext) -> None:
    """Heed at once."""
    context.log("waiting")
    context.sleep(600)
