"""The shapes of requests and answers, as JSON Schema: the ``components`` of the API's description.

Answers name every key that they may have, so that a client can be generated from them and a test
can hold every real answer against them.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from rescind import limits
from rescind.api.versions import VERSIONS
from rescind.lifecycle import Evidence, Move, Status
from rescind.model import CancelCode, RerunCode, StartCode
from rescind.operation import OUTCOME_CODES, Action, OperationStatus
from rescind.wire.error_types import ErrorType

Schema: TypeAlias = dict[str, Any]


def ref(name: str) -> Schema:
    """A shape by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _success(optional: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    return _object(optional, responseStatus={"const": "SUCCESS"}, **properties)


def _refused(**detail: Schema) -> Schema:
    """An item that was refused: ``errors`` is a single object, as in Vault."""
    return _object(responseStatus={"const": "FAILURE"}, errors=_error(**detail))


def _error(**detail: Schema) -> Schema:
    return _object(tuple(detail), type=ref("ErrorType"), message=TEXT, **detail)


def _names(values: Any) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values]}


def _counts(names: Any) -> Schema:
    """How many, by name."""
    return {"type": "object", "propertyNames": _names(names), "additionalProperties": COUNT}


QUERY: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": limits.QUERY_CHARACTERS_MAX,
    "examples": [
        "SELECT id, status__sys FROM job_instance__sys",
        "SELECT id FROM job_history__sys WHERE status__sys = 'SUCCESS' ORDER BY id DESC PAGESIZE 1",
        "SHOW TARGETS",
    ],
}
EXAMPLE_NAME = "demo_sleep__c"
TEXT: Schema = {"type": "string"}
ID: Schema = {"type": "integer", "minimum": 1, "maximum": limits.JOB_ID_MAX}
COUNT: Schema = {"type": "integer", "minimum": 0}
INSTANT: Schema = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
    "examples": ["2016-04-20T18:14:42.000Z"],
}
_PATH: Schema = {"type": "string", "pattern": "^/api/"}

_SUMMARY: Mapping[str, Schema] = {
    "job_id": ID,
    "title": TEXT,
    "status": ref("Status"),
    "created_by": ID,
    "created_date": INSTANT,
    "modified_by": ID,
    "modified_date": INSTANT,
    "run_start_date": INSTANT,
}

_PAGE_DETAILS = _object(
    ("next_page", "previous_page"),
    total=COUNT,
    limit={"type": "integer", "minimum": 1, "maximum": limits.OUTCOMES_PAGE_MAX},
    offset=COUNT,
    next_page=_PATH,
    previous_page=_PATH,
)


def _page(*, ended: bool) -> Schema:
    job = _object(**_SUMMARY, **({"run_end_date": INSTANT} if ended else {}))
    return _success(
        responseMessage={"const": "OK"},
        url=_PATH,
        responseDetails=ref("PageDetails"),
        jobs=_list(job, maxItems=limits.PAGE_JOBS_MAX),
    )


_CANCEL_DETAIL = {"code": _names(CancelCode), "status": ref("Status")}
_START_DETAIL = {"code": _names(StartCode), "status": ref("Status")}
_RERUN_DETAIL = {"code": _names(RerunCode), "status": ref("Status")}

SCHEMAS: Mapping[str, Schema] = {
    # Words
    "Version": _names(VERSIONS),
    "Status": _names(Status),
    "ErrorType": _names(ErrorType),
    # What any request may be answered with
    "Failure": _object(
        ("errorType",),
        responseStatus={"const": "FAILURE"},
        errors=_list(_error(**_START_DETAIL), minItems=1, maxItems=1),
        errorType={"const": "AUTHENTICATION_FAILED"},
    ),
    "Exception": _object(
        responseStatus={"const": "EXCEPTION"}, errors=_list(_error(), minItems=1, maxItems=1)
    ),
    # Sessions
    "Credentials": {
        "type": "object",
        "properties": {"username": TEXT, "password": TEXT, "vaultDNS": TEXT},
        "required": ["username", "password"],
    },
    "SignedIn": _success(
        sessionId={"type": "string", "pattern": "^[0-9A-F]{128}$"},
        userId=ID,
        vaultIds=_list(_object(id=ID, name=TEXT, url=TEXT), minItems=1),
        vaultId=ID,
    ),
    "Done": _success(),
    "Versions": _success(values={"type": "object", "additionalProperties": TEXT}),
    "Me": _success(
        users=_list(
            _object(
                user=_object(
                    user_name__v=TEXT,
                    active__v={"type": "boolean"},
                    id=ID,
                    created_date__v=INSTANT,
                )
            ),
            minItems=1,
            maxItems=1,
        )
    ),
    # Jobs
    "CancelItems": _list(
        {"type": "object", "properties": {"job_id": ID}, "required": ["job_id"]},
        minItems=1,
        maxItems=limits.CANCEL_BATCH_JOBS_MAX,
    ),
    "Cancelled": _success(
        data=_list(
            {
                "oneOf": [
                    _success(data=_object(tuple(_CANCEL_DETAIL), id=ID, **_CANCEL_DETAIL)),
                    _refused(**_CANCEL_DETAIL),
                ]
            },
            minItems=1,
            maxItems=limits.CANCEL_BATCH_JOBS_MAX,
        )
    ),
    "SubmitItems": _list(
        _object(
            ("title", "parameters", "run_date", "priority", "unique_key"),
            job_metadata={"type": "string", "minLength": 1, "examples": [EXAMPLE_NAME]},
            title=_or_null(
                {"type": "string", "minLength": 1, "maxLength": limits.TITLE_CHARACTERS_MAX}
            ),
            parameters=_or_null({"type": "object"}),
            run_date=_or_null({"type": "string", "format": "date-time"}),
            priority=_or_null(
                {
                    "type": "integer",
                    "minimum": limits.PRIORITY_MIN,
                    "maximum": limits.PRIORITY_MAX,
                    "default": limits.PRIORITY_DEFAULT,
                }
            ),
            unique_key=_or_null(
                {"type": "string", "minLength": 1, "maxLength": limits.UNIQUE_KEY_CHARACTERS_MAX}
            ),
        ),
        minItems=1,
        maxItems=limits.SUBMIT_BATCH_JOBS_MAX,
    ),
    "Submitted": _success(
        data=_list(
            {
                "oneOf": [
                    _success(data=_object(("existing",), id=ID, existing={"const": True})),
                    _refused(),
                ]
            },
            minItems=1,
            maxItems=limits.SUBMIT_BATCH_JOBS_MAX,
        )
    ),
    "Rerun": _success(
        data=_list(
            {
                "oneOf": [
                    _success(
                        data=_object(tuple(_RERUN_DETAIL), id=ID, rerun_of=ID, **_RERUN_DETAIL)
                    ),
                    _refused(**_RERUN_DETAIL),
                ]
            },
            minItems=1,
            maxItems=limits.CANCEL_BATCH_JOBS_MAX,
        )
    ),
    "Started": _success(("code", "status"), url=_PATH, job_id=ID, **_START_DETAIL),
    "JobStatus": _success(
        responseMessage={"const": "OK"},
        data=_object(
            ("method", "run_end_date"),
            id=ID,
            status=ref("Status"),
            method=TEXT,
            links=_list(_object(rel=TEXT, href=_PATH, method=TEXT, accept=TEXT), minItems=1),
            created_by=ID,
            created_date=INSTANT,
            run_start_date=INSTANT,
            run_end_date=INSTANT,
        ),
    ),
    "PageDetails": _PAGE_DETAILS,
    "Histories": _page(ended=True),
    "Monitors": _page(ended=False),
    "Tasks": _success(
        url=_PATH,
        responseDetails=ref("PageDetails"),
        job_id=ID,
        tasks=_list(_object(id=TEXT, state=TEXT)),
    ),
    "Details": _success(
        data=_object(
            id=ID,
            job_metadata=TEXT,
            title=TEXT,
            status=ref("Status"),
            priority={"type": "integer"},
            queue=TEXT,
            parameters={"type": "object"},
            unique_key=_or_null(TEXT),
            created_by=ID,
            created_date=INSTANT,
            modified_by=ID,
            modified_date=INSTANT,
            run_date=INSTANT,
            queue_date=_or_null(INSTANT),
            run_start_date=_or_null(INSTANT),
            run_end_date=_or_null(INSTANT),
            attempt=COUNT,
            attempts_max=COUNT,
            worker=_or_null(TEXT),
            evidence=_or_null(ref("Evidence")),
            result={"description": "whatever the function returned, as JSON"},
            progress=_or_null(_object(done=COUNT, total=_or_null(COUNT))),
            errors=_list(_object(attempt=COUNT, date=INSTANT, error=TEXT)),
            moves=_list(ref("Move"), minItems=1),
            rerun_of=_or_null(ID),
            reruns=_list(_object(id=ID, undo={"type": "boolean"})),
            obstacles=_list(_object(worker=_or_null(TEXT), reason=TEXT)),
        )
    ),
    # Selections and operations
    "SelectionQuery": {
        "type": "object",
        "properties": {"query": {**QUERY, "examples": ["SELECT id FROM job__sys MAXROWS 10"]}},
        "required": ["query"],
    },
    "Nothing": {"type": "object", "maxProperties": 0},
    "Selection": _success(
        data=_object(
            selection_id=TEXT,
            total={**COUNT, "maximum": limits.SELECTION_JOBS_MAX},
            left_out=COUNT,
            statuses=_counts(Status),
            first=_list(
                _object(id=ID, title=TEXT, status=ref("Status")),
                maxItems=limits.SELECTION_JOBS_SHOWN,
            ),
            expires_date=INSTANT,
        )
    ),
    "OperationId": _success(data=_object(operation_id=TEXT)),
    "OperationState": _object(
        operation_id=TEXT,
        action=_names(Action),
        status=_names(OperationStatus),
        total=COUNT,
        done=COUNT,
        stopped=COUNT,
        outcomes=_counts(OUTCOME_CODES),
        query=TEXT,
        created_by=ID,
        created_date=INSTANT,
        ended_date=_or_null(INSTANT),
        reason=_or_null(TEXT),
        undo_of=_or_null(TEXT),
        undone_by=_or_null(TEXT),
    ),
    "Operation": _success(data=ref("OperationState")),
    "Operations": _success(
        responseDetails=ref("PageDetails"),
        data=_list(ref("OperationState"), maxItems=limits.PAGE_JOBS_MAX),
    ),
    "Outcomes": _success(
        responseDetails=ref("PageDetails"),
        data=_list(
            _object(
                ("new_id",),
                id=ID,
                code=_names(OUTCOME_CODES),
                status=_or_null(ref("Status")),
                new_id=ID,
            ),
            maxItems=limits.OUTCOMES_PAGE_MAX,
        ),
    ),
    # Queries
    "QueryForm": {"type": "object", "properties": {"q": QUERY}, "required": ["q"]},
    "Rows": {
        "type": "object",
        "properties": {
            "responseStatus": {"enum": ["SUCCESS", "WARNING"]},
            "warnings": _list(_object(type=TEXT, message=TEXT)),
            "queryDescribe": {"type": "object"},
            "responseDetails": _object(
                ("previous_page", "next_page"),
                pagesize={**COUNT, "maximum": limits.QUERY_ROWS_MAX},
                pageoffset=COUNT,
                size=COUNT,
                total=COUNT,
                previous_page=_PATH,
                next_page=_PATH,
            ),
            "data": _list({"type": "object"}, maxItems=limits.QUERY_ROWS_MAX),
        },
        "required": ["responseStatus", "responseDetails", "data"],
        "additionalProperties": False,
    },
    "Evidence": _names(Evidence),
    "Move": {
        **_object(
            **{
                "move": _names(Move),
                "from": _or_null(ref("Status")),
                "to": ref("Status"),
                "date": INSTANT,
                "user_id": ID,
                "user_name": _or_null(TEXT),
                "by": TEXT,
                "reason": _or_null(TEXT),
                "request_id": _or_null(TEXT),
                "attempt": COUNT,
                "evidence": _or_null(ref("Evidence")),
            }
        ),
        "description": "who moved the job, when, why and by which request",
    },
}
