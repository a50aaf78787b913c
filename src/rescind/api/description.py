"""The description of the API (OpenAPI 3.1), served at ``/openapi.json``.

It is written by hand, before the handlers: what it says is meant. Tests hold it against the table
of routes, and real answers against it.
"""

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

import msgspec

from rescind import limits
from rescind.api.http import Context, Request, Text
from rescind.api.shapes import COUNT, QUERY, SCHEMAS, TEXT, Schema, ref
from rescind.operation import OUTCOME_CODES, Action
from rescind.service.policy import Profile
from rescind.wire.listing import HISTORY_STATUSES, MONITOR_STATUSES

_OPENAPI = "3.1.0"
Operation = dict[str, Any]


def openapi(context: Context, request: Request) -> Text:  # noqa: ARG001 - a handler's signature
    """What can be asked for in this profile."""
    body = msgspec.json.encode(description(context.profile)).decode()
    return Text(text=f"{body}\n", content_type="application/json")


def description(profile: Profile) -> dict[str, Any]:
    """The whole description, for a profile."""
    paths = {
        path: {method: operation for method, operation in operations.items() if operation}
        for path, operations in _PATHS.items()
        if profile is Profile.OPEN or path not in _OPEN_ALONE
    }
    described: dict[str, Any] = {
        "openapi": _OPENAPI,
        "info": {
            "title": "Rescind",
            "version": metadata.version("rescind"),
            "description": "A durable job service whose cancel is kept. It speaks the Vault Jobs "
            "API; what is Rescind's own says so. Answers come with HTTP 200 whether they succeed "
            "or fail: read responseStatus.",
        },
        "security": [{"session": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "a session id, alone or after Bearer",
                }
            },
        },
    }
    return described if profile is Profile.OPEN else _without_ours(described)


def _without_ours(value: Any) -> Any:
    """A part of the description without what profile vault does not have."""
    if isinstance(value, list):
        return [_without_ours(one) for one in value if one is not _DETAIL]
    if isinstance(value, Mapping):
        kept = {name: one for name, one in value.items() if name not in _OPEN_KEYS}
        return {name: _without_ours(one) for name, one in kept.items()}
    return value


def _in(place: str, name: str, schema: Schema, text: str) -> dict[str, Any]:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "schema": schema, "description": text, **required}


_VERSION = _in("path", "version", ref("Version"), "an API version")
_OURS = "Rescind's own, profile open"
_SELECTION_ID = _in("path", "selection_id", TEXT, "a selection's id")
_OPERATION_ID = _in("path", "operation_id", TEXT, "an operation's id")
_CODE = _in("query", "code", {"type": "string", "enum": OUTCOME_CODES}, "all if absent")
_JOB_ID = _in("path", "job_id", {"type": "integer", "minimum": 0}, "a job's id")
_INSTANT: Schema = {"type": "string", "format": "date-time"}
_LIMIT: Schema = {
    "type": "integer",
    "minimum": 1,
    "maximum": limits.PAGE_JOBS_MAX,
    "default": limits.PAGE_JOBS_DEFAULT,
}
_WINDOW = [
    _in("query", "limit", _LIMIT, "how many"),
    _in("query", "offset", {**COUNT, "maximum": limits.PAGE_OFFSET_MAX, "default": 0}, "from 0"),
]
_OUTCOMES_LIMIT: Schema = {
    **_LIMIT,
    "maximum": limits.OUTCOMES_PAGE_MAX,
    "default": limits.OUTCOMES_PAGE_DEFAULT,
}
_PAGE = [
    _in("query", "pagesize", {"type": "integer", "minimum": 1}, "rows in a page"),
    _in("query", "pageoffset", COUNT, "from 0"),
]
_DESCRIBE = _in(
    "header",
    "X-VaultAPI-DescribeQuery",
    {"type": "string", "enum": ["true", "false"]},
    "whether to describe the fields",
)
# How long an address may be, others decide as well.
_SHORTER = {name: value for name, value in QUERY.items() if name != "maxLength"}
_Q = {**_in("query", "q", _SHORTER, "the query"), "required": True}
_KEY: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": limits.IDEMPOTENCY_KEY_CHARACTERS_MAX,
    "pattern": "^[ -~]+$",
}
_AGAIN = _in("header", "Idempotency-Key", _KEY, "sent again with it, a request does nothing twice")
_DETAIL = _in(
    "header",
    "X-Rescind-Detail",
    {"type": "string", "enum": ["true", "false"]},
    "profile open: whether to add outcome codes",
)
_UNDO = _in(
    "query",
    "undo",
    {"type": "string", "enum": ["true", "false"], "default": "false"},
    "take back the cancel of jobs that had not started, instead",
)
_REASON = _in(
    "header",
    "X-Rescind-Reason",
    {"type": "string", "maxLength": limits.REASON_CHARACTERS_MAX, "pattern": "^[ -~]*$"},
    "kept with the event",
)


def _filters(statuses: Sequence[str], dates: str) -> list[dict[str, Any]]:
    return [
        _in("query", "start_date", _INSTANT, f"inclusive: {dates}"),
        _in("query", "end_date", _INSTANT, f"inclusive: {dates}"),
        _in("query", "status", {"type": "string", "enum": list(statuses)}, "all if absent"),
        *_WINDOW,
    ]


def _answers(shape: str) -> dict[str, Any]:
    schema = {"oneOf": [ref(shape), ref("Failure"), ref("Exception")]}
    nothing = {"application/json": {"schema": ref("Failure")}, "application/xml": {}}
    return {
        "200": {
            "description": "done, or refused: read responseStatus",
            "headers": {
                "X-VaultAPI-ExecutionId": {"schema": TEXT, "description": "the request's id"},
                "X-VaultAPI-Status": {"schema": TEXT, "description": "the responseStatus"},
            },
            "content": {"application/json": {"schema": schema}, "application/xml": {}},
        },
        "404": {"description": "MALFORMED_URL: nothing is there", "content": nothing},
    }


def _text(text: str, **headers: str) -> dict[str, Any]:
    described = {name: {"schema": TEXT, "description": about} for name, about in headers.items()}
    return {"description": text, "headers": described, "content": {"text/plain": {"schema": TEXT}}}


def _items(shape: str) -> dict[str, Any]:
    """A JSON array, or CSV with the same fields as its columns."""
    return {
        "required": True,
        "content": {name: {"schema": ref(shape)} for name in ("application/json", "text/csv")},
    }


def _json(shape: str, *, required: bool = True) -> dict[str, Any]:
    return {"required": required, "content": {"application/json": {"schema": ref(shape)}}}


def _operation(
    name: str, summary: str, answers: dict[str, Any], *parameters: dict[str, Any], **more: Any
) -> Operation:
    return {
        "operationId": name,
        "summary": summary,
        "parameters": list(parameters),
        "responses": answers,
        **more,
    }


_OPEN: Mapping[str, Any] = {"security": []}
_JOBS = "/api/{version}/services/jobs"


def _list_of(name: str, title: str, text: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    answers = _answers(title)
    return {
        "get": _operation(name, text, answers, _VERSION, *parameters),
        "post": _operation(f"{name}_by_post", text, answers, _VERSION, *parameters),
    }


_PATHS: Mapping[str, Mapping[str, Operation]] = {
    f"{_JOBS}/actions/cancel": {
        "post": _operation(
            "cancel",
            "Cancel jobs (since v25.3)",
            _answers("Cancelled"),
            *(_VERSION, _AGAIN, _DETAIL, _REASON),
            requestBody=_items("CancelItems"),
        )
    },
    _JOBS: {
        "post": _operation(
            "submit",
            "Submit jobs (Rescind's own)",
            _answers("Submitted"),
            *(_VERSION, _AGAIN, _REASON),
            requestBody=_items("SubmitItems"),
        )
    },
    f"{_JOBS}/actions/rerun": {
        "post": _operation(
            "rerun",
            f"Run finished jobs again, or undo their cancel ({_OURS})",
            _answers("Rerun"),
            *(_VERSION, _UNDO, _AGAIN, _DETAIL, _REASON),
            requestBody=_items("CancelItems"),
        )
    },
    f"{_JOBS}/start_now/{{job_id}}": {
        "post": _operation(
            "start_now",
            "Let a SCHEDULED job run now",
            _answers("Started"),
            *(_VERSION, _JOB_ID, _AGAIN, _DETAIL, _REASON),
        )
    },
    f"{_JOBS}/histories": _list_of(
        "histories",
        "Histories",
        "Finished jobs, newest first",
        _filters([*HISTORY_STATUSES], "of the end"),
    ),
    f"{_JOBS}/monitors": _list_of(
        "monitors",
        "Monitors",
        "Jobs that are not finished, in the order of their start",
        _filters([*MONITOR_STATUSES], "of the creation"),
    ),
    f"{_JOBS}/selections": {
        "post": _operation(
            "pin",
            f"Keep exactly the jobs that a query means ({_OURS})",
            _answers("Selection"),
            *(_VERSION, _AGAIN),
            requestBody=_json("SelectionQuery"),
        )
    },
    f"{_JOBS}/selections/{{selection_id}}": {
        "get": _operation(
            "selection", f"A selection ({_OURS})", _answers("Selection"), _VERSION, _SELECTION_ID
        )
    },
    **{
        f"{_JOBS}/selections/{{selection_id}}/actions/{action}": {
            "post": _operation(
                f"{action}_selection",
                f"Begin to {action} all jobs of a selection ({_OURS})",
                _answers("OperationId"),
                *(_VERSION, _SELECTION_ID, _AGAIN, _REASON),
                requestBody=_json("Nothing", required=False),
            )
        }
        for action in (Action.CANCEL, Action.RERUN, Action.START)
    },
    f"{_JOBS}/operations": {
        "get": _operation(
            "operations",
            f"Operations, newest first ({_OURS})",
            _answers("Operations"),
            *(_VERSION, *_WINDOW),
        )
    },
    f"{_JOBS}/operations/{{operation_id}}": {
        "get": _operation(
            "operation",
            f"How far an operation has come ({_OURS})",
            _answers("Operation"),
            *(_VERSION, _OPERATION_ID),
        )
    },
    f"{_JOBS}/operations/{{operation_id}}/outcomes": {
        "get": _operation(
            "outcomes",
            f"What became of each job of an operation ({_OURS})",
            _answers("Outcomes"),
            *(_VERSION, _OPERATION_ID, _CODE),
            _in("query", "limit", _OUTCOMES_LIMIT, "how many"),
            _WINDOW[1],
        )
    },
    **{
        f"{_JOBS}/operations/{{operation_id}}/actions/{action}": {
            "post": _operation(
                f"{action}_operation",
                f"{text} ({_OURS})",
                _answers("OperationId"),
                *(_VERSION, _OPERATION_ID, _AGAIN, _REASON),
                requestBody=_json("Nothing", required=False),
            )
        }
        for action, text in (
            ("stop", "Stop an operation: the rest is left as it is"),
            ("undo", "Begin to take back what an operation has cancelled"),
        )
    },
    f"{_JOBS}/{{job_id}}": {
        "get": _operation("status", "A job's status", _answers("JobStatus"), _VERSION, _JOB_ID)
    },
    f"{_JOBS}/{{job_id}}/tasks": {
        "get": _operation(
            "tasks", "The tasks of an SDK job", _answers("Tasks"), _VERSION, _JOB_ID, *_WINDOW
        )
    },
    f"{_JOBS}/{{job_id}}/details": {
        "get": _operation(
            "details",
            f"All that is known of a job, and its moves ({_OURS})",
            _answers("Details"),
            *(_VERSION, _JOB_ID),
        )
    },
    f"{_JOBS}/{{job_id}}/log": {
        "get": _operation(
            "log",
            "A job's log as text (Rescind's own)",
            {
                **_answers("Failure"),
                "200": {
                    **_text(
                        "the log from the byte on, or a refusal",
                        **{
                            "X-Rescind-Log-Next": "the next `from`",
                            "X-Rescind-Log-End": "`true`: the job has ended",
                        },
                    ),
                    "content": {
                        "text/plain": {"schema": TEXT},
                        "application/json": {
                            "schema": {"oneOf": [ref("Failure"), ref("Exception")]}
                        },
                        "application/xml": {},
                    },
                },
            },
            _VERSION,
            _JOB_ID,
            _in(
                "query",
                "from",
                {**COUNT, "maximum": limits.LOG_POSITION_MAX, "default": 0},
                "a byte, counted from the first that was ever logged",
            ),
        )
    },
    "/api/{version}/query": {
        "post": _operation(
            "query",
            "Ask by VQL",
            _answers("Rows"),
            *(_VERSION, _DESCRIBE),
            requestBody={
                "required": True,
                "content": {
                    name: {"schema": ref("QueryForm")}
                    for name in ("application/x-www-form-urlencoded", "multipart/form-data")
                },
            },
        ),
        "get": _operation(
            "query_by_get",
            "Ask by VQL",
            _answers("Rows"),
            *(_VERSION, _Q, _DESCRIBE),
        ),
    },
    "/api/{version}/query/{query_id}": {
        method: _operation(
            f"query_page_by_{method}",
            "A further page of a query: its next_page",
            _answers("Rows"),
            *(_VERSION, _in("path", "query_id", TEXT, "of next_page"), *_PAGE),
        )
        for method in ("get", "post")
    },
    "/api/{version}/auth": {
        "post": _operation(
            "sign_in",
            "Open a session",
            _answers("SignedIn"),
            _VERSION,
            **_OPEN,
            requestBody={
                "required": True,
                "content": {
                    "application/x-www-form-urlencoded": {"schema": ref("Credentials")},
                    "multipart/form-data": {"schema": ref("Credentials")},
                },
            },
        )
    },
    "/api/{version}/keep-alive": {
        "post": _operation("keep_alive", "Count the session as used", _answers("Done"), _VERSION)
    },
    "/api/{version}/session": {
        "delete": _operation("sign_out", "End this session", _answers("Done"), _VERSION)
    },
    "/api/{version}/objects/users/me": {
        "get": _operation("me", "Who is signed in", _answers("Me"), _VERSION)
    },
    "/api": {"get": _operation("versions", "The API's versions", _answers("Versions"))},
    "/api/": {"get": _operation("versions_below", "The API's versions", _answers("Versions"))},
    "/api/{version}": {
        "get": _operation(
            "versions_of_version", "The API's versions", _answers("Versions"), _VERSION
        )
    },
    "/healthz": {
        "get": _operation(
            "healthz", "Whether the process lives", {"200": _text("it does")}, **_OPEN
        )
    },
    "/readyz": {
        "get": _operation(
            "readyz",
            "Whether it can serve",
            {"200": _text("it can"), "503": _text("it cannot")},
            **_OPEN,
        )
    },
    "/openapi.json": {
        "get": _operation(
            "openapi",
            "This description",
            {"200": {"description": "OpenAPI", "content": {"application/json": {}}}},
            **_OPEN,
        )
    },
}

_OPEN_ALONE = frozenset(
    path
    for path, operations in _PATHS.items()
    if any(_OURS in operation["summary"] for operation in operations.values())
)
_OPEN_KEYS = frozenset({"unique_key", "existing"})
"""What profile vault does not have."""
