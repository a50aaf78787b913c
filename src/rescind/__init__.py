"""A durable job service whose cancel is kept: what people who write jobs import."""

from rescind.sdk.context import JobCancelled, JobContext
from rescind.sdk.job import job

__all__ = ["JobCancelled", "JobContext", "job"]
