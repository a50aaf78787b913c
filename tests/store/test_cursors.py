"""What is kept of queries with several pages, for how long, and queries that take too long."""

from datetime import timedelta

import pytest

from rescind import limits
from rescind.errors import QueryTooSlow
from rescind.model import Cursor, Found
from rescind.selection import Any, Column, Like, Selection, Source
from rescind.store.protocol import Store
from rescind.store.sql import queries
from store import harness

ADA = 2


def test_what_is_kept_comes_back_to_its_user_alone(store: Store) -> None:
    ids = [2**40, 1, 7]
    store.keep_cursor("a", ADA, "{}", ids)
    assert store.cursor("a", ADA) == Cursor(description="{}", ids=ids)
    assert store.cursor("a", 1) is None
    assert store.cursor("b", ADA) is None


def test_of_one_user_the_last_few_that_were_used_are_kept(store: Store) -> None:
    for number in range(limits.CURSORS_MAX):
        store.keep_cursor(f"{number:02}", ADA, "{}", [number])
    store.keep_cursor("another", 1, "{}", [])
    clock = store.now()
    assert harness.eventually(lambda: store.now() > clock)
    assert store.cursor("00", ADA), "it counts as used"
    store.keep_cursor("one more", ADA, "{}", [])
    kept = [store.cursor(f"{number:02}", ADA) for number in range(limits.CURSORS_MAX)]
    assert kept.count(None) == 1
    assert kept[0] is not None
    assert store.cursor("one more", ADA)
    assert store.cursor("another", 1)


def test_what_was_not_used_for_its_time_is_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.keep_cursor("a", ADA, "{}", [1])
    assert store.prune_cursors(limit=9) == 0
    monkeypatch.setattr(queries, "_AGE", timedelta(0))
    assert store.cursor("a", ADA) is None
    assert harness.eventually(lambda: store.prune_cursors(limit=9) == 1)


def test_rows_come_again_as_they_are_now_in_the_order_asked_for(store: Store) -> None:
    first, second, third = (harness.submit(store) for _ in range(3))
    harness.cancel(store, first)
    rows = store.select_again(Source.JOBS, [Column.STATUS], [third, first, 99, second], seconds=60)
    assert rows == [
        {"id": third, "status": "QUEUED"},
        {"id": first, "status": "CANCELLING"},
        {"id": second, "status": "QUEUED"},
    ]


def test_a_query_that_takes_too_long_is_cancelled_and_the_store_goes_on(store: Store) -> None:
    harness.submit_all(store, [harness.new_job(title="x" * 1_000)] * 500)
    much = Any(tuple(Like(Column.TITLE, ("", f"x{number}", "y", "")) for number in range(500)))
    slow = Selection(where=much)

    def select(selection: Selection, seconds: float) -> Found:
        return store.select(
            selection, [], skip=0, rows_max=None, limit=10, offset=0, seconds=seconds
        )

    with pytest.raises(QueryTooSlow):
        select(slow, 0.001)
    found = select(Selection(), 60)
    assert (len(found.rows), found.total) == (10, 500)
    assert len(found.ids) == 500
