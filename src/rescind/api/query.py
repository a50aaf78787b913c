"""Handlers of queries (Vault: VQL)."""

from typing import Any

from rescind import limits
from rescind.api.forms import parse_form
from rescind.api.http import Answer, Context, Request
from rescind.errors import RequestRefused
from rescind.model import FoundRow
from rescind.service import query as querying
from rescind.vql.targets import TARGETS, Field, Target, Type
from rescind.wire.envelope import Payload
from rescind.wire.listing import parse_number
from rescind.wire.query import nothing_nested, page_details, rows_answer, shown_value


def query(context: Context, request: Request) -> Answer:
    """Vault: Submitting a Query. ``q`` comes in a form, or in the query string."""
    content_type = request.headers.get("content-type")
    form = parse_form(request.body, content_type) if request.body else {}
    text = form.get("q") or request.query.get("q")
    if not text:
        raise RequestRefused("PARAMETER_REQUIRED", "Missing required parameter [q]")
    seconds = context.settings.query_seconds
    found = querying.query(context.store, context.profile, request.signed_in, text, seconds=seconds)
    describe = request.headers.get("x-vaultapi-describequery", "").strip().lower() == "true"
    if isinstance(found, querying.Page):
        return _page(request, found, describe=describe)
    rows = _fields(found) if isinstance(found, Target) else [_target(one) for one in found]
    count = len(rows)
    details = page_details(
        size=limits.QUERY_ROWS_DEFAULT, offset=0, rows=count, total=count, pages=None
    )
    return Answer(payload=rows_answer(rows, details, None, cut=False))


def page(context: Context, request: Request) -> Answer:
    """A further page, by GET or POST."""
    most = limits.QUERY_ROWS_MAX
    size = parse_number(request.query, "pagesize", most, 1, limits.PAGE_OFFSET_MAX)
    found = querying.page(
        context.store,
        context.profile,
        request.signed_in,
        request.parameters["query_id"],
        size=min(size, most),
        offset=parse_number(request.query, "pageoffset", 0, 0, limits.PAGE_OFFSET_MAX),
        seconds=context.settings.query_seconds,
    )
    return _page(request, found, describe=False)


def _page(request: Request, found: querying.Page, *, describe: bool) -> Answer:
    version = request.parameters["version"]
    details = page_details(
        size=found.size,
        offset=found.offset,
        rows=len(found.rows),
        total=found.total,
        pages=None if found.cursor is None else f"/api/{version}/query/{found.cursor}",
    )
    rows = [_row(found.shape, row) for row in found.rows]
    described = _described(found.shape) if describe else None
    return Answer(payload=rows_answer(rows, details, described, cut=found.cut))


def _row(shape: querying.Shape, row: FoundRow) -> Payload:
    return {one.key: _shown(one.what, row) for one in shape.shown}


def _shown(what: Any, row: FoundRow) -> Any:
    if not isinstance(what, Field):
        return nothing_nested()
    return what.constant if what.column is None else shown_value(row[what.column])


def _described(shape: querying.Shape) -> Payload:
    target = TARGETS[shape.target]
    return {
        "type": "select__sys",
        "object": _target(target),
        "fields": [
            {"label": one.what.label, **_typed(one.key, one.what)}
            for one in shape.shown
            if isinstance(one.what, Field)
        ],
    }


def _target(target: Target) -> Payload:
    return {"name": target.name, "label": target.label, "label_plural": target.label_plural}


def _fields(target: Target) -> list[Payload]:
    return [{**_typed(name, field), "label": field.label} for name, field in target.fields.items()]


def _typed(name: str, field: Field) -> Payload:
    return {"type": field.type, "required": field.type is Type.ID, "name": name}
