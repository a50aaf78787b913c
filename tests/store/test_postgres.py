"""What PostgreSQL adds: wake-ups between processes, connections that break, locks that last."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from postgres import Server
from proxy import Proxy
from rescind.clock import SystemClock
from rescind.errors import ConfigurationError, StoreUnavailable
from rescind.lifecycle import Status
from rescind.model import Actor, Verdict
from rescind.runtime.exchanger import Exchanger
from rescind.store.postgres.database import conninfo
from rescind.store.postgres.store import PostgresStore
from rescind.store.postgres.transaction import sql as store_sql
from rescind.store.protocol import Channel
from store import harness
from store.harness import SYSTEM, USER, new_job, place


@pytest.fixture
def open_store(postgres_url: str) -> Iterator[Callable[[], PostgresStore]]:
    stores: list[PostgresStore] = []

    def make() -> PostgresStore:
        stores.append(PostgresStore(postgres_url))
        return stores[-1]

    make().add_user("ada", "hash", frozenset())
    yield make
    for store in stores:
        store.close()


class Process:
    """What one process does with wake-ups, stepped by the test."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.woken: list[Channel] = []
        store.subscribe(self.woken.append)
        self._exchanger = Exchanger(store.exchange, SystemClock(), store.wake)
        self.step()
        self.woken.clear()

    def step(self) -> None:
        self._exchanger.step()

    def reaches(self, other: "Process", channel: Channel) -> bool:
        """Whether what was posted here is heard there."""
        self.step()
        other._exchanger.wait(0.1)
        other.step()
        return channel in other.woken


def test_a_wake_up_reaches_the_other_processes(open_store: Callable[[], PostgresStore]) -> None:
    here, there = Process(open_store()), Process(open_store())
    harness.submit(here.store)
    assert here.woken == [Channel.QUEUED], "at once in its own process"
    assert there.woken == []
    assert harness.eventually(lambda: here.reaches(there, Channel.QUEUED))
    here.woken.clear()
    here.step()
    assert here.woken == [], "its own wake-up does not come back"


def test_wake_ups_are_gathered(open_store: Callable[[], PostgresStore], postgres_url: str) -> None:
    here = Process(open_store())
    with psycopg.connect(postgres_url, autocommit=True) as listener:
        listener.execute('LISTEN "rescind_queued"')
        for _ in range(50):
            harness.submit(here.store)
        while here.store.exchange.pending:
            here.step()
        assert len(list(listener.notifies(timeout=0.2))) == 1


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may kill."""
    server = Server()
    yield server
    server.stop()


def test_a_server_that_comes_back_is_used_again_and_everything_counts_as_heard(
    own_server: Server,
) -> None:
    with own_server.database() as url:
        store = PostgresStore(url)
        store.add_user("ada", "hash", frozenset())
        process = Process(store)
        job_id = harness.submit(store)
        own_server.kill()
        with pytest.raises(StoreUnavailable):
            process.step()
        with pytest.raises(StoreUnavailable):
            store.check()
        with pytest.raises(StoreUnavailable):
            store.submit([new_job()], USER)
        own_server.start()
        store.check()
        assert harness.row(store, job_id).status is Status.QUEUED, "what was confirmed is there"
        process.woken.clear()
        process.step()
        assert set(process.woken) == set(Channel)
        store.close()


def test_what_was_posted_while_the_server_was_away_is_sent_when_it_is_back(
    own_server: Server,
) -> None:
    with own_server.database() as url:
        here, there = Process(PostgresStore(url)), Process(PostgresStore(url))
        own_server.kill()
        here.store.exchange.post({Channel.RELEASED})
        with pytest.raises(StoreUnavailable):
            here.step()
        assert here.store.exchange.pending
        own_server.start()
        with pytest.raises(StoreUnavailable):
            there.step()
        there.step()
        there.woken.clear()
        assert harness.eventually(lambda: here.reaches(there, Channel.RELEASED))
        for process in (here, there):
            process.store.close()


def test_a_cancel_that_waits_for_another_move_judges_what_that_move_left(
    open_store: Callable[[], PostgresStore], postgres_url: str
) -> None:
    """The statement's snapshot is older than the lock it waited for."""
    store = open_store()
    metadata = harness.metadata(
        idempotent=True, cancellable_in=frozenset({Status.QUEUED, Status.QUEUEING})
    )
    job_id = place(store, Status.RUNNING, new_job(metadata=metadata))
    verdicts: list[dict[int, Verdict]] = []
    with psycopg.connect(postgres_url) as rescuer:
        rescuer.execute(
            "UPDATE job SET status = 'QUEUED', worker = NULL, lease_expires_at = NULL"
            " WHERE id = %s",
            [job_id],
        )
        cancelling = threading.Thread(
            target=lambda: verdicts.append(
                store.cancel([job_id], USER, running_allowed=True, owner=None)
            )
        )
        cancelling.start()
        with psycopg.connect(postgres_url, autocommit=True) as watcher:
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert harness.eventually(lambda: watcher.execute(waits).fetchone() is not None)
        rescuer.commit()
    cancelling.join()
    assert verdicts == [{job_id: Verdict(True, Status.CANCELLING)}]
    assert store.events(job_id)[-1].from_status is Status.QUEUED


def test_a_long_transaction_of_somebody_else_makes_a_write_fail_and_not_hang(
    open_store: Callable[[], PostgresStore], postgres_url: str
) -> None:
    store = open_store()
    job_id = harness.scheduled(store)
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM job WHERE id = %s FOR UPDATE", [job_id])
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            store.start(job_id, USER, hold_seconds=0, owner=None)
        assert store.claim(SYSTEM, names=[], limit=9) == [], "others are not held up"


def accept(store: PostgresStore, *ids: int, owner: int | None = None) -> dict[int, Verdict]:
    return store.cancel(ids, USER, running_allowed=True, owner=owner)


def test_jobs_that_somebody_holds_do_not_hold_up_the_cancel_of_the_others(
    open_store: Callable[[], PostgresStore], postgres_url: str
) -> None:
    store = open_store()
    held = {
        status: place(store, status)
        for status in (Status.QUEUED, Status.SUCCESS, Status.CANCELLING, Status.CANCELLED)
    }
    free = [place(store, status) for status in (Status.QUEUED, Status.SUCCESS)]
    forbidden = harness.submit(
        store, new_job(metadata=harness.metadata(cancellable_in=frozenset()))
    )
    events = {job_id: store.events(job_id) for job_id in held.values()}
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM job WHERE id = ANY(%s) FOR UPDATE", [list(held.values())])
        verdicts = accept(store, *held.values(), *free, forbidden, 99)
        assert verdicts == {
            **{job_id: Verdict(False, status, held=True) for status, job_id in held.items()},
            free[0]: Verdict(True, Status.CANCELLING),
            free[1]: Verdict(False, Status.SUCCESS),
            forbidden: Verdict(False, Status.QUEUED),
        }
        assert {job_id: store.events(job_id) for job_id in held.values()} == events
    assert accept(store, held[Status.QUEUED])[held[Status.QUEUED]].landed


def test_a_held_job_of_another_owner_answers_like_one_that_does_not_exist(
    open_store: Callable[[], PostgresStore], postgres_url: str
) -> None:
    store = open_store()
    mine = harness.submit(store)
    [theirs] = harness.submit_all(store, [new_job()], Actor(user_id=1, by="user"))
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM job WHERE id = ANY(%s) FOR UPDATE", [[mine, theirs]])
        assert accept(store, mine, theirs, owner=2) == {
            mine: Verdict(False, Status.QUEUED, held=True)
        }


def test_two_cancels_of_the_same_500_jobs_do_not_race(
    open_store: Callable[[], PostgresStore],
) -> None:
    stores = [open_store(), open_store()]
    with ThreadPoolExecutor() as threads:
        for _ in range(5):
            ids = harness.submit_all(stores[0], [new_job() for _ in range(500)])
            asked = [
                threads.submit(accept, store, *order)
                for store, order in zip(stores, (ids, ids[::-1]), strict=True)
            ]
            verdicts = [verdict for one in asked for verdict in one.result().values()]
            assert not any(verdict.held for verdict in verdicts)
            assert sum(verdict.landed for verdict in verdicts) == 500


def test_every_session_has_what_the_promises_rest_on(
    open_store: Callable[[], PostgresStore], postgres_url: str
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())
        connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'".encode())
    with open_store()._database.connection() as session:
        for setting, value in (("synchronous_commit", "on"), ("timezone", "UTC")):
            row = session.execute(f"SHOW {setting}".encode()).fetchone()
            assert row is not None
            assert list(row.values()) == [value]


def test_a_url_says_what_it_wants_and_the_rest_is_chosen() -> None:
    text = conninfo("postgresql://db.example/rescind?connect_timeout=2")
    assert "connect_timeout=2" in text
    assert "tcp_user_timeout=10000" in text
    with pytest.raises(ConfigurationError, match="cannot be read") as caught:
        conninfo("postgresql://user:secret@host/db?no_such_word=1")
    assert "secret" not in str(caught.value)


def test_a_server_that_is_not_there_is_said_in_time(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable):
        PostgresStore(f"postgresql:///rescind?host={tmp_path}")


def waits_for_a_lock(url: str) -> bool:
    with psycopg.connect(url, autocommit=True) as watcher:
        waits = (
            "SELECT 1 FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return watcher.execute(waits).fetchone() is not None


def test_a_password_change_ends_the_session_that_is_being_opened(
    open_store: Callable[[], PostgresStore], postgres_url: str
) -> None:
    """Whichever of the two comes first: who knew the old password alone is out."""
    store = open_store()
    opens = store_sql("open_session").encode()
    session = {"user_id": 2, "id_hash": b"first", "password_hash": "hash"}
    with ThreadPoolExecutor() as threads, psycopg.connect(postgres_url) as other:
        assert other.execute(opens, session).fetchone()
        changing = threads.submit(store.set_password, 2, "new")
        assert harness.eventually(lambda: waits_for_a_lock(postgres_url))
        other.commit()
        changing.result()
        assert store.session(b"first", inactive_seconds=60) is None

        other.execute("UPDATE user_account SET password_hash = 'newer' WHERE id = 2")
        opening = threads.submit(store.open_session, 2, b"second", password_hash="new")
        assert harness.eventually(lambda: waits_for_a_lock(postgres_url))
        other.commit()
        assert not opening.result()


def test_a_line_that_is_acknowledged_and_never_answered_does_not_cost_a_lease(
    postgres_url: str, tmp_path: Path
) -> None:
    proxy = Proxy(tmp_path, postgres_url)
    store = PostgresStore(proxy.url, lease_seconds=8)
    store.lease("worker-1")
    assert store.renew("worker-1")
    proxy.freeze()
    with pytest.raises(StoreUnavailable, match="timeout"):
        store.renew("worker-1")
    assert store.renew("worker-1"), "by a new one"
    store.close()
    proxy.close()


def test_log_lines_of_two_runs_that_meet_do_not_overlap(
    open_store: Callable[[], PostgresStore], postgres_url: str
) -> None:
    """A worker that was frozen in its last write, and the one that has the job now."""
    store = open_store()
    job_id = place(store, Status.RUNNING)
    late = "INSERT INTO job_log (job_id, start_byte, bytes, text) VALUES (%s, 0, 9, 'too late\n')"
    with ThreadPoolExecutor() as threads, psycopg.connect(postgres_url) as frozen:
        frozen.execute(late, [job_id])
        writing = threads.submit(harness.log, store, job_id, "first\n", "second of the run\n")
        assert harness.eventually(lambda: waits_for_a_lock(postgres_url))
        frozen.commit()
        writing.result()
    chunks = store.log(job_id)
    assert [chunk.text for chunk in chunks] == ["too late\n", "first\n", "second of the run\n"]
    assert [chunk.start_byte for chunk in chunks] == [0, 9, 15]
