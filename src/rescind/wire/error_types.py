"""The words an answer is judged by: Vault's response statuses and error types.

Source: Vault API reference, "Errors" and "Error Types". The types are contractual, the messages
are not.
"""

from enum import StrEnum


class ResponseStatus(StrEnum):
    """``responseStatus`` of an answer, and of each item of a bulk answer."""

    SUCCESS = "SUCCESS"
    WARNING = "WARNING"
    """Done, with warnings."""
    FAILURE = "FAILURE"
    """The caller's mistake."""
    EXCEPTION = "EXCEPTION"
    """The service's mistake."""


class ErrorType(StrEnum):
    """``type`` of an error: the documented list, in its order, and one that real Vaults send."""

    UNEXPECTED_ERROR = "UNEXPECTED_ERROR"
    MALFORMED_URL = "MALFORMED_URL"
    METHOD_NOT_SUPPORTED = "METHOD_NOT_SUPPORTED"
    INACTIVE_USER = "INACTIVE_USER"
    NO_PASSWORD_PROVIDED = "NO_PASSWORD_PROVIDED"  # noqa: S105 -- an error type, not a password
    USERNAME_OR_PASSWORD_INCORRECT = "USERNAME_OR_PASSWORD_INCORRECT"  # noqa: S105 -- the same
    USER_LOCKED_OUT = "USER_LOCKED_OUT"
    PASSWORD_CHANGE_REQUIRED = "PASSWORD_CHANGE_REQUIRED"  # noqa: S105 -- the same
    INVALID_SESSION_ID = "INVALID_SESSION_ID"
    PARAMETER_REQUIRED = "PARAMETER_REQUIRED"
    INVALID_DATA = "INVALID_DATA"
    INSUFFICIENT_ACCESS = "INSUFFICIENT_ACCESS"
    OPERATION_NOT_ALLOWED = "OPERATION_NOT_ALLOWED"
    ATTRIBUTE_NOT_SUPPORTED = "ATTRIBUTE_NOT_SUPPORTED"
    INVALID_FILTER = "INVALID_FILTER"
    INCORRECT_QUERY_SYNTAX_ERROR = "INCORRECT_QUERY_SYNTAX_ERROR"
    RACE_CONDITION = "RACE_CONDITION"
    EXCEEDS_FILE_MAX_SIZE = "EXCEEDS_FILE_MAX_SIZE"
    API_LIMIT_EXCEEDED = "API_LIMIT_EXCEEDED"
    CONFIGURATION_MODE_ENABLED = "CONFIGURATION_MODE_ENABLED"
    SDK_ERROR = "SDK_ERROR"
    OPERATION_IN_PROGRESS = "OPERATION_IN_PROGRESS"
    ITEM_NAME_EXISTS = "ITEM_NAME_EXISTS"
    USER_NOT_FOUND = "USER_NOT_FOUND"
    FEDERATED_ID_ALREADY_EXISTS = "FEDERATED_ID_ALREADY_EXISTS"

    INCORRECT_QUERY_SYNTAX = "INCORRECT_QUERY_SYNTAX"
    """Not documented, but what a real Vault answers to a query it cannot parse."""
