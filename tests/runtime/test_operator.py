"""The operator works operations off, in turns, and has patience with others for a time."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from rescind import limits
from rescind.clock import SystemClock
from rescind.model import User
from rescind.operation import Action, Rights
from rescind.runtime.operator import Operator
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Channel
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store import harness
from store.test_operations import METADATA, begin, read, submit


def everything(_user: User, _action: Action) -> Rights:
    return Rights(owner=None, running_allowed=True, hold_seconds=0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    migrate(tmp_path / "rescind.db")
    store = SqliteStore(tmp_path / "rescind.db", SystemClock())
    store.add_user("ada", "hash", frozenset())
    harness.register(store, METADATA)
    yield store
    store.close()


def test_each_operation_has_a_batch_a_step_and_then_it_waits(store: SqliteStore) -> None:
    woken: list[Channel] = []
    store.subscribe(woken.append)
    operator = Operator(store, everything)
    assert operator.step() == limits.OPERATOR_POLL_SECONDS
    first, second = submit(store, 600), submit(store, 10)
    begin(store, first)
    begin(store, second, name="o-2")
    assert set(woken) & operator.wakes_on == {Channel.OPERATION}
    assert operator.step() == 0
    assert (read(store).done, read(store, "o-2").done) == (250, 10)
    assert [operator.step(), operator.step()] == [0, 0]
    assert (read(store).done, read(store).status) == (600, "DONE")
    assert operator.step() == limits.OPERATOR_POLL_SECONDS


def test_what_somebody_else_holds_is_waited_for_and_then_left_out(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPERATOR_HELD_TRIES", 2)
    store = PostgresStore(postgres_url)
    store.add_user("ada", "hash", frozenset())
    harness.register(store, METADATA)
    operator = Operator(store, everything)
    ids = submit(store, 3)
    begin(store, ids)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM job WHERE id = %s FOR UPDATE", [ids[1]])
        waited = limits.OPERATOR_HELD_SECONDS
        assert [operator.step() for _ in range(3)] == [waited, waited, 0]
    assert read(store).outcomes == {"ACCEPTED": 2, "RACE_CONDITION": 1}
    store.close()
