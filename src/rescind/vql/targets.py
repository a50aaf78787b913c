"""What can be asked for: the targets of queries and their fields (Vault: VQL, "Jobs").

A field is a column of the job's row, or a constant that no row has.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from rescind.selection import Column, Source


class Type(StrEnum):
    """The type of a field, in Vault's words."""

    ID = "ID"
    STRING = "String"
    NUMBER = "Number"
    DATETIME = "DateTime"


class Field(Struct, frozen=True, tag=True, tag_field="kind"):
    """A field of a target: of what type it is, and what stands in it."""

    type: Type
    label: str
    column: Column | None = None
    """What it shows; None: the same in every row, namely"""
    constant: str | None = None


class Target(Struct, frozen=True, kw_only=True):
    """Rows that can be asked for."""

    name: str
    label: str
    label_plural: str
    fields: Mapping[str, Field]
    source: Source | None
    """Where its rows are; None: it has none."""
    free: bool = False
    """Whether LIKE may begin with ``%``, and NOT stands in WHERE: Rescind's own."""
    relationships: Mapping[str, str] = {}
    """The names of its relationships, and the targets that they lead to."""


PYTHON_JOB = "python_job"
"""``job_type__sys`` of what one Python function does."""

_ID = Field(Type.ID, "ID", Column.ID)
_NAMES = {
    "job_name__sys": Field(Type.STRING, "Job Name", Column.JOB_METADATA),
    "job_metadata__sys": Field(Type.STRING, "Job Metadata", Column.JOB_METADATA),
    "job_type__sys": Field(Type.STRING, "Job Type", constant=PYTHON_JOB),
    "job_title__sys": Field(Type.STRING, "Job Title", Column.TITLE),
    "status__sys": Field(Type.STRING, "Status", Column.STATUS),
}
_CREATED_BY = Field(Type.ID, "Created By", Column.CREATED_BY)
_QUEUED = Field(Type.DATETIME, "Queue Date", Column.QUEUED_AT)
_PLANNED = Field(Type.DATETIME, "Run Date", Column.RUN_AT)
_STARTED = Field(Type.DATETIME, "Start Date", Column.STARTED_AT)
_FINISHED = Field(Type.DATETIME, "Finish Date", Column.FINISHED_AT)

_INSTANCES = Target(
    name="job_instance__sys",
    label="Job Instance",
    label_plural="Job Instances",
    fields={
        "id": _ID,
        **_NAMES,
        "created_by__sys": _CREATED_BY,
        "queue_date__sys": _QUEUED,
        "run_date__sys": _PLANNED,
    },
    source=Source.LIVE_JOBS,
)
_HISTORIES = Target(
    name="job_history__sys",
    label="Job History",
    label_plural="Job Histories",
    fields={
        "id": _ID,
        **_NAMES,
        "schedule_date__sys": Field(Type.DATETIME, "Schedule Date", Column.RUN_AT),
        "queue_date__sys": _QUEUED,
        "start_date__sys": _STARTED,
        "finish_date__sys": _FINISHED,
    },
    source=Source.ENDED_JOBS,
    relationships={"job_task_history__sysr": "job_task_history__sys"},
)
_TASKS = Target(
    name="job_task_history__sys",
    label="Job Task History",
    label_plural="Job Task Histories",
    fields={
        "task_id__sys": Field(Type.STRING, "Task ID"),
        "job_history__sys": Field(Type.ID, "Job History", Column.ID),
        "status__sys": Field(Type.STRING, "Status"),
        "queue_date__sys": Field(Type.DATETIME, "Queue Date"),
        "start_date__sys": Field(Type.DATETIME, "Start Date"),
        "finish_date__sys": Field(Type.DATETIME, "Finish Date"),
    },
    source=None,  # until there are SDK jobs
    relationships={"job_history__sysr": "job_history__sys"},
)
_USERS = Target(
    name="user__sys",
    label="User",
    label_plural="Users",
    fields={"id": _ID, "username__sys": Field(Type.STRING, "User Name", Column.NAME)},
    source=Source.USERS,
)
_JOBS = Target(
    name="job__sys",
    label="Job",
    label_plural="Jobs",
    fields={
        "id": _ID,
        **_NAMES,
        "created_by__sys": _CREATED_BY,
        "created_date__sys": Field(Type.DATETIME, "Created Date", Column.CREATED_AT),
        "queue_date__sys": _QUEUED,
        "run_date__sys": _PLANNED,
        "start_date__sys": _STARTED,
        "finish_date__sys": _FINISHED,
        "priority__sys": Field(Type.NUMBER, "Priority", Column.PRIORITY),
        "unique_key__sys": Field(Type.STRING, "Unique Key", Column.UNIQUE_KEY),
        "rerun_of__sys": Field(Type.ID, "Rerun Of", Column.RERUN_OF),
        "worker__sys": Field(Type.STRING, "Worker", Column.WORKER),
    },
    source=Source.JOBS,
    free=True,
)

TARGETS: Mapping[str, Target] = {
    target.name: target for target in (_INSTANCES, _HISTORIES, _TASKS, _USERS, _JOBS)
}
OURS = frozenset({_JOBS.name})
"""What profile vault does not have."""

ALIASES: Mapping[str, str] = {"job_status__sys": "status__sys"}
"""Names that Vault's own examples use beside those of its tables."""
