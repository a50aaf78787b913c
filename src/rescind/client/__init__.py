"""A typed Python client of the API.

from rescind.client import Client

with Client() as client:
job_id = client.submit("nightly_export__c", parameters={"rows": 5})
client.wait(job_id)
print(client.result(job_id))
"""

from rescind.client.async_client import AsyncClient
from rescind.client.errors import (
    CannotReach,
    ClientError,
    JobCancelled,
    JobEnded,
    JobFailed,
    NotEnded,
    NotInThisProfile,
    NotPermitted,
    NotSignedIn,
    Refused,
    ServiceFailed,
    WaitedInVain,
)
from rescind.client.sync_client import Client
from rescind.client.values import (
    CancelOutcome,
    Details,
    JobStatus,
    JobSummary,
    NewJob,
    Operation,
    Outcome,
    RerunOutcome,
    Selection,
    Submitted,
    Task,
)

__all__ = [
    "AsyncClient",
    "CancelOutcome",
    "CannotReach",
    "Client",
    "ClientError",
    "Details",
    "JobCancelled",
    "JobEnded",
    "JobFailed",
    "JobStatus",
    "JobSummary",
    "NewJob",
    "NotEnded",
    "NotInThisProfile",
    "NotPermitted",
    "NotSignedIn",
    "Operation",
    "Outcome",
    "Refused",
    "RerunOutcome",
    "Selection",
    "ServiceFailed",
    "Submitted",
    "Task",
    "WaitedInVain",
]
