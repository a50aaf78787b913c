"""Every exception of Rescind's own.

A *refusal* (a FAILURE answer to one item or request) is a value, not an exception of the store or
the lifecycle; :class:`RequestRefused` only carries one from a handler to the gate.

::

    RescindError
    ├── ConfigurationError      settings, job modules or definitions are wrong     (exit code 3)
    ├── CannotStart             the port or the database file is taken             (exit code 3)
    ├── SchemaError             the database has another schema than this program  (exit code 4)
    ├── StoreUnavailable        the database did not answer; nothing was changed, or the caller
    │                           cannot know
    ├── QueryTooSlow            a query was cancelled because it took too long
    ├── TooManyFound            a query means more jobs than can be pinned
    ├── TooManyKept             a user has as many selections as one may
    ├── KeyTaken                an idempotency key is used already, or just now
    └── RequestRefused          a whole request is refused, with a Vault error type
"""


class RescindError(Exception):
    """The root: anything Rescind raises on purpose."""


class ConfigurationError(RescindError):
    """What a person set up cannot work. ``problems`` are whole sentences, all found at once."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class CannotStart(RescindError):
    """The service cannot start here and now; the message says what is in its way."""


class SchemaError(RescindError):
    """The database's schema is not one this program can serve; the message names both."""


class StoreUnavailable(RescindError):
    """The database could not do what was asked. The driver's own error is the cause."""


class QueryTooSlow(RescindError):
    """A query took longer than it may, and was cancelled; nothing was changed."""


class TooManyFound(RescindError):
    """A query means ``total`` jobs, more than can be pinned; nothing was kept."""

    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.total = total


class TooManyKept(RescindError):
    """The user has as many selections as one may; nothing was kept."""


class KeyTaken(RescindError):
    """Nothing was done: another request has the same idempotency key, before or just now."""


class RequestRefused(RescindError):
    """A request that is refused as a whole: ``error_type`` is one of Vault's error types.
    ``detail`` is what is added for callers who ask for outcome codes; the answer is held back for
    ``delay_seconds``.
    """

    def __init__(self, error_type: str, message: str, **detail: str) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.detail = detail
        self.delay_seconds = 0.0
