"""What forms of pages do. Each leads back to the page that it was sent from."""

import hashlib
import re
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from rescind import ids, limits
from rescind.api.forms import parse_fields
from rescind.api.http import Context, Request, Text
from rescind.api.idempotency import is_key
from rescind.errors import RequestRefused
from rescind.lifecycle import CANCELLABLE, FINAL, Status
from rescind.model import RequestKey, RerunCode
from rescind.operation import Action, Pinned
from rescind.service import operations as operating
from rescind.service import overview, read, rerun, start_now
from rescind.service import selections as selecting
from rescind.service.policy import Caller
from rescind.ui.pages import page, refusal, see
from rescind.ui.paths import local, parameters, with_parameter
from rescind.ui.results import REASONS
from rescind.ui.view import GROUPS, submitter, view_of
from rescind.wire.listing import Window
from rescind.wire.text import invalid, one_line

_NUMBER = re.compile(r"[0-9]{1,18}")


class _Form(Struct, frozen=True):
    """What a form says."""

    values: Mapping[str, str]
    ids: tuple[int, ...]
    """Of jobs that are selected."""

    @property
    def back(self) -> str:
        """The page to go back to."""
        return local(self.values.get("back")) or "/"


def _form(request: Request) -> _Form:
    fields = parse_fields(
        request.body, request.headers.get("content-type"), fields_max=limits.FORM_FIELDS_MAX
    )
    values = dict(fields)
    given = [value for name, value in fields if name == "id"]
    if values.get("page"):  # all that were shown, where there is no script to tick each
        given += values.get("shown", "").split(",")
    chosen = (int(text) for text in given if _NUMBER.fullmatch(text))
    return _Form(values, tuple(dict.fromkeys(chosen)))


def select(context: Context, request: Request) -> Text:
    """Pin the jobs that are to be cancelled: those that are ticked, or all that match and have not
    ended; and ask.
    """
    form, caller, store = _form(request), request.signed_in, context.store
    seconds = context.settings.query_seconds
    ended = 0
    if form.values.get("which") == "all":
        view = view_of(parameters(form.back))
        form = replace(form, values={**form.values, "back": view.path()})
        user_id = submitter(store, caller, view)
        where = overview.meant(store, " AND ".join(view.conditions(user_id)))
        window = Window(limit=0, offset=0)
        seen = overview.listing(store, caller, where, view.statuses, window, seconds=seconds)
        ended = sum(seen.totals.get(status, 0) for status in view.statuses & FINAL)
        query = view.query(user_id, within=GROUPS["unfinished"])
    elif form.ids:
        chosen = ", ".join(map(str, form.ids))
        query = f"SELECT id FROM job__sys WHERE id CONTAINS ({chosen})"  # noqa: S608 - VQL
    else:
        raise invalid("No job is selected: tick some first")
    pinned = selecting.pin(store, context.profile, caller, query, seconds=seconds).outcome
    path = with_parameter(f"/selections/{pinned.id}", "back", form.back)
    return see(with_parameter(path, "ended", ended or None))


def selection(context: Context, request: Request) -> Text:
    """The question whether these jobs are to be cancelled."""
    back = local(request.query.get("back")) or "/"
    ended = request.query.get("ended", "0")
    try:
        pinned = selecting.selection(
            context.store, request.signed_in, request.parameters["selection_id"]
        )
    except RequestRefused:
        return _expired(request, back)
    return page(
        "selection.html",
        request,
        pinned=pinned,
        counted=_counted(pinned),
        running_allowed=context.profile.running_cancellable,
        ended=int(ended) if _NUMBER.fullmatch(ended) else 0,
        back=back,
        kept=parameters(back),
        key=ids.idempotency_key(),
        reason_characters=limits.REASON_CHARACTERS_MAX,
    )


def _counted(pinned: Pinned) -> dict[str, int]:
    """How many will do what when they are cancelled."""
    of = {Status(name): total for name, total in pinned.statuses.items()}
    return {
        "waiting": sum(of.get(status, 0) for status in CANCELLABLE - {Status.RUNNING}),
        "running": of.get(Status.RUNNING, 0),
        "cancelling": of.get(Status.CANCELLING, 0),
        "ended": sum(of.get(status, 0) for status in FINAL),
    }


def _expired(request: Request, back: str) -> Text:
    minutes = limits.SELECTION_SECONDS // 60
    message = f"This selection has expired: it is kept for {minutes} minutes. Nothing was cancelled"
    return refusal(request, message, status=404, back=back)


def cancel(context: Context, request: Request) -> Text:
    """Cancel the jobs of a selection."""
    form = _form(request)
    try:
        begun = operating.begin(
            context.store,
            context.profile,
            _reasoned(request, form),
            Action.CANCEL,
            request.parameters["selection_id"],
            _key(request, form),
        )
    except RequestRefused as refused:
        if refused.message.endswith("is not found"):
            return _expired(request, form.back)
        raise
    return _done(form, begun.outcome)


def stop(context: Context, request: Request) -> Text:
    """Stop an operation."""
    form, operation_id = _form(request), request.parameters["operation_id"]
    operating.stop(context.store, request.signed_in, operation_id, _key(request, form))
    return _done(form, operation_id)


def undo(context: Context, request: Request) -> Text:
    """Take back what an operation has cancelled."""
    form = _form(request)
    begun = operating.undo(
        context.store,
        context.profile,
        request.signed_in,
        request.parameters["operation_id"],
        _key(request, form),
    )
    return _done(form, begun.outcome)


def start(context: Context, request: Request) -> Text:
    """Start a scheduled job now."""
    form, job_id = _form(request), int(request.parameters["job_id"])
    start_now.start_now(
        context.store, context.profile, request.signed_in, job_id, _key(request, form)
    )
    return see(form.back)


def run_again(context: Context, request: Request) -> Text:
    """Submit a finished job anew, and show the new one."""
    form, job_id = _form(request), int(request.parameters["job_id"])
    answered = rerun.rerun(
        context.store, context.profile, request.signed_in, [job_id], _key(request, form)
    )
    [outcome] = answered.outcome
    if outcome.code is RerunCode.UNKNOWN:
        raise read.not_found(job_id)
    if outcome.code is not RerunCode.SUBMITTED:
        raise invalid(f"Job {job_id} was not run again: it {REASONS[outcome.code]}")
    return see(f"/jobs/{outcome.new_id}")


def _reasoned(request: Request, form: _Form) -> Caller:
    reason = one_line(form.values.get("reason", "")).strip()[: limits.REASON_CHARACTERS_MAX]
    return replace(request.signed_in, reason=reason or None)


def _key(request: Request, form: _Form) -> RequestKey | None:
    """The form's idempotency key: sent twice, it is one request."""
    key = form.values.get("key", "")
    if not is_key(key):
        raise invalid("The form has no key; load its page anew")
    return RequestKey(
        user_id=request.signed_in.user.id,
        method=request.method,
        path=request.path,
        key=key,
        request_hash=hashlib.sha256(request.body).digest(),
    )


def _done(form: _Form, operation_id: str) -> Text:
    return see(with_parameter(form.back, "operation", operation_id))
