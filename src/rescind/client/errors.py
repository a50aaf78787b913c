"""What a client raises.

::

    ClientError
    ├── CannotReach          nothing answered; a request that does something may have been done
    ├── NotSignedIn          no user name and password, or not the right ones
    ├── NotPermitted         the user may not do that
    ├── NotInThisProfile     the service does not have it: its profile is vault
    ├── Refused              anything else that the service refuses, by its ``error_type``
    ├── ServiceFailed        the service's own mistake, or its database is away
    ├── NotEnded             its result is asked for, and it has not ended yet
    ├── WaitedInVain         the time-out of a wait is over (a TimeoutError, too)
    └── JobEnded             a job that was waited for has not ended in SUCCESS
        ├── JobCancelled
        └── JobFailed
"""

from collections.abc import Mapping


class ClientError(Exception):
    """Anything that a client raises on purpose."""

    def __init__(self, message: str, *, request_id: str | None = None) -> None:
        super().__init__(message if request_id is None else f"{message} (request {request_id})")
        self.message = message
        self.request_id = request_id
        """Leads to the request in the service's log."""


class CannotReach(ClientError):
    """No answer came, however often it was tried."""


class NotSignedIn(ClientError):
    """There is nobody to sign in, or the service does not let them in."""


class Refused(ClientError):
    """The service refuses the request as a whole, or the only item of it."""

    def __init__(
        self, message: str, *, error_type: str = "INVALID_DATA", request_id: str | None = None
    ) -> None:
        super().__init__(message, request_id=request_id)
        self.error_type = error_type
        """One of Vault's error types."""


class NotPermitted(Refused):
    """The user may not do that."""


class NotInThisProfile(ClientError):
    """The service is in profile vault, which does not have what was asked for."""


class ServiceFailed(ClientError):
    """The service failed. Its log says why, under the request's id."""


class NotEnded(ClientError):
    """A job's result is asked for that has not ended yet."""


class WaitedInVain(ClientError, TimeoutError):
    """The time-out of a wait is over; ``left`` have not ended."""

    def __init__(self, message: str, left: list[int]) -> None:
        super().__init__(message)
        self.left = left


class JobEnded(ClientError):
    """Of the jobs that were waited for, one has not ended in SUCCESS; the first of those that
    have not. ``ends`` has the status of each.
    """

    def __init__(
        self, message: str, *, job_id: int, status: str, ends: Mapping[int, str] | None = None
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        self.status = status
        self.ends = dict(ends or {job_id: status})


class JobCancelled(JobEnded):
    """It was cancelled."""


class JobFailed(JobEnded):
    """Its code raised, it ran for too long, or it was never started."""
