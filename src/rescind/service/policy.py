"""Profiles and permissions: what is allowed, in one place."""

from collections import defaultdict
from enum import StrEnum

from msgspec import Struct

from rescind.errors import RequestRefused
from rescind.model import Actor, User


class Profile(StrEnum):
    """How strictly the API keeps to Vault's."""

    OPEN = "open"
    """What users of job systems ask for beyond Vault: running jobs can be cancelled, and people
    may cancel what they submitted themselves."""
    VAULT = "vault"
    """Strict parity, for a stand-in for a Vault."""

    @property
    def running_cancellable(self) -> bool:
        """Whether RUNNING may be cancelled where a job's row permits it."""
        return self is Profile.OPEN

    @property
    def start_hold_seconds(self) -> float:
        """How long a job that was started waits in QUEUEING (a real Vault shows it for seconds)."""
        return 5.0 if self is Profile.VAULT else 0.0


class Permission(StrEnum):
    """What a user may do."""

    API_ACCESS = "api_access"
    JOBS_READ = "jobs_read"
    JOBS_CREATE = "jobs_create"
    JOBS_EDIT = "jobs_edit"
    QUEUES_EDIT = "queues_edit"
    METADATA_EDIT = "metadata_edit"
    USERS_EDIT = "users_edit"
    METRICS_READ = "metrics_read"


_IMPLIED_BY: defaultdict[Permission, set[Permission]] = defaultdict(
    set, {Permission.JOBS_READ: {Permission.JOBS_EDIT}}
)
"""Which permissions include which: edit implies read."""


class Caller(Struct, frozen=True, kw_only=True):
    """Who asks, and by which request."""

    user: User
    request_id: str
    reason: str | None = None

    def may(self, permission: Permission) -> bool:
        """Whether the caller has the permission; edit implies read."""
        granted = self.user.permissions
        return permission in granted or any(name in granted for name in _IMPLIED_BY[permission])

    def require(self, permission: Permission) -> None:
        """Raise RequestRefused, INSUFFICIENT_ACCESS, without the permission."""
        if not self.may(permission):
            raise insufficient_access(self.user, permission)

    @property
    def actor(self) -> Actor:
        """The caller as events name it."""
        return Actor(
            user_id=self.user.id, by="user", reason=self.reason, request_id=self.request_id
        )


def insufficient_access(user: User, permission: Permission) -> RequestRefused:
    """The refusal of a whole request for want of a permission."""
    if permission is Permission.API_ACCESS:
        message = f"User [{user.id}] not licensed for permission [VaultActions_API_Access]."
    else:
        message = f"User [{user.id}] does not have the permission [{permission}]."
    return RequestRefused("INSUFFICIENT_ACCESS", message)


def editable_owner(caller: Caller, profile: Profile) -> int | None:
    """Whose jobs the caller may cancel and start: None for everyone's, else their own user id.

    Raises RequestRefused when nobody's.
    """
    if caller.may(Permission.JOBS_EDIT):
        return None
    if profile is Profile.OPEN and caller.may(Permission.JOBS_CREATE):
        return caller.user.id
    raise insufficient_access(caller.user, Permission.JOBS_EDIT)


def readable_owner(caller: Caller) -> int | None:
    """Whose jobs the caller may read: None for everyone's, else their own user id."""
    return None if caller.may(Permission.JOBS_READ) else caller.user.id


def listable_owner(caller: Caller, profile: Profile) -> int | None:
    """Whose jobs the caller may list: None for everyone's, else their own user id.

    Raises RequestRefused in profile vault, where lists hold everyone's or nothing.
    """
    if profile is Profile.VAULT:
        caller.require(Permission.JOBS_READ)
    return readable_owner(caller)
