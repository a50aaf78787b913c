"""Pin the jobs that a query means, so that one thing can be done to exactly these."""

from msgspec.structs import replace

from rescind import ids, limits
from rescind.errors import RequestRefused, TooManyFound, TooManyKept
from rescind.model import Once, RequestKey
from rescind.operation import Pinned
from rescind.selection import EVERYTHING, Column, Compare, Operator, Source, both
from rescind.service.idempotency import Answered, answer
from rescind.service.policy import Caller, Profile, editable_owner, readable_owner
from rescind.service.query import in_time
from rescind.store.protocol import Store
from rescind.vql import tree
from rescind.vql.parser import parse
from rescind.vql.planner import Plan, plan
from rescind.vql.targets import TARGETS

_TARGETS = [name for name, target in TARGETS.items() if target.source not in (None, Source.USERS)]


def pin(
    store: Store,
    profile: Profile,
    caller: Caller,
    text: str,
    key: RequestKey | None = None,
    *,
    seconds: float,
) -> Answered[Pinned]:
    """Keep exactly the jobs that a query on jobs means now and the caller may change; what else it
    means that they may read is counted.

    Raises RequestRefused: INSUFFICIENT_ACCESS for who may change nobody's jobs; INVALID_DATA and
    INCORRECT_QUERY_SYNTAX for what is no query on jobs, or means too many;
    OPERATION_NOT_ALLOWED for what takes longer than ``seconds``; API_LIMIT_EXCEEDED for who has
    too many; and as :func:`rescind.service.idempotency.answer` does.
    """
    owner = editable_owner(caller, profile)
    planned = _plan(store, text)
    reader = readable_owner(caller)
    visible = EVERYTHING if reader is None else Compare(Column.CREATED_BY, Operator.EQ, reader)
    meant = replace(planned.selection, where=both(planned.selection.where, visible))

    def do(once: Once[Pinned] | None) -> Pinned:
        with in_time(seconds):
            return store.pin(
                ids.opaque_id(),
                caller.user.id,
                text,
                meant,
                owner=owner,
                skip=planned.skip,
                rows_max=planned.rows_max,
                seconds=seconds,
                once=once,
            )

    try:
        return answer(store, key, Pinned, do, lambda pinned: pinned)
    except TooManyFound as error:
        raise RequestRefused(
            "INVALID_DATA",
            f"The query means {error.total} jobs; at most {limits.SELECTION_JOBS_MAX} can be "
            "selected at once. Ask for what is narrower, or by MAXROWS",
        ) from None
    except TooManyKept:
        raise RequestRefused(
            "API_LIMIT_EXCEEDED",
            f"You have {limits.SELECTIONS_MAX} selections; each expires after "
            f"{limits.SELECTION_SECONDS // 60} minutes",
        ) from None


def selection(store: Store, caller: Caller, selection_id: str) -> Pinned:
    """A selection of the caller's. Raises RequestRefused, in the same words when there is none,
    when it is somebody else's and when it has expired.
    """
    require_id(selection_id)
    found = store.selection(selection_id, caller.user.id)
    if found is None:
        raise not_found(selection_id)
    return found


def require_id(selection_id: str) -> None:
    """Raises :func:`not_found` for what can be none."""
    if not ids.is_opaque(selection_id):
        raise not_found(selection_id)


def not_found(selection_id: str) -> RequestRefused:
    """The refusal of a selection that is not there, not the caller's, or has expired."""
    return RequestRefused("INVALID_DATA", f"Selection [{selection_id}] is not found")


def _plan(store: Store, text: str) -> Plan:
    statement = parse(text)
    if not isinstance(statement, tree.Query) or statement.target not in _TARGETS:
        raise RequestRefused(
            "INVALID_DATA", f"A selection is a query on one of {', '.join(_TARGETS)}"
        )
    pages = {"LIMIT", "OFFSET", "PAGESIZE", "PAGEOFFSET"}
    for word, _number in statement.tails:
        if word in pages:
            raise RequestRefused(
                "INVALID_DATA", f"A selection has no pages: instead of {word} say MAXROWS or SKIP"
            )
    return plan(text, statement, store.now())
