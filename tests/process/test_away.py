"""The database is full, read-only or away: answers say so, and all goes on when it is back."""

import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from postgres import Server
from process.conftest import FINAL, LEASE_SECONDS, Service, Worker, on_postgres, show

Serve = Callable[..., Service]
Work = Callable[..., Worker]
READY = (200, "ready")
UNAVAILABLE = (503, "unavailable")


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may kill."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def database(own_server: Server, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path}/rescind.db"
        return
    with own_server.database() as url:
        yield url


def expect_exceptions(service: Service, job_id: int) -> None:
    """Every request that writes is answered with EXCEPTION, and none of them promises anything."""
    requests = (
        ("/services/jobs", [{"job_metadata": "demo_sleep__c"}]),
        ("/services/jobs/actions/cancel", [{"job_id": job_id}]),
    )
    for path, body in requests:
        answer = service.client.post(path, json=body)
        assert answer.json()["responseStatus"] == "EXCEPTION", answer.text
        assert "data" not in answer.json()
    service.until(lambda: service.readiness == UNAVAILABLE)


def expect_recovery(service: Service, job_id: int) -> None:
    """Without anybody's help it serves, runs and cancels again."""
    seconds = service.until(lambda: service.readiness == READY)
    show(f"ready again {seconds:.2f} s after the database was back")
    [after] = service.submit("demo_sleep__c", parameters={"seconds": 0})
    service.until_status(after, "SUCCESS")
    service.cancel(job_id)
    service.until_status(job_id, "CANCELLED")


def test_a_full_disk_on_sqlite(serve: Serve) -> None:
    """The kernel refuses to let any file of the process grow, as on a full disk."""
    service = serve()
    [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 600})
    service.until_logged(job_id, "Sleeping")
    unlimited = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (0, -1))
    expect_exceptions(service, job_id)
    assert service.status(job_id) == "RUNNING", "what only reads goes on"
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, unlimited)
    expect_recovery(service, job_id)


Administrator = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def administrator(database: str) -> Iterator[Administrator]:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        yield connection
        connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        connection.execute("SELECT pg_reload_conf()")


@on_postgres
def test_a_full_disk_on_postgresql(serve: Serve, administrator: Administrator) -> None:
    """The server answers with its error of a full disk."""
    service = serve()
    [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 600})
    service.until_logged(job_id, "Sleeping")
    administrator.execute(
        """
        CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON job EXECUTE FUNCTION full_disk();
        CREATE TRIGGER full_disk BEFORE UPDATE ON schema_version EXECUTE FUNCTION full_disk();
        """
    )
    expect_exceptions(service, job_id)
    assert service.status(job_id) == "RUNNING"
    administrator.execute("DROP FUNCTION full_disk() CASCADE")
    expect_recovery(service, job_id)


def new_connections_only_read(database: str) -> bool:
    """Then the server has told those that there are, too."""
    with psycopg.connect(database) as connection:
        found = connection.execute("SHOW default_transaction_read_only").fetchone()
    return found == ("on",)


@on_postgres
def test_a_database_that_only_reads_on_postgresql(
    serve: Serve, administrator: Administrator, database: str
) -> None:
    service = serve()
    [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 600})
    service.until_logged(job_id, "Sleeping")
    administrator.execute("ALTER SYSTEM SET default_transaction_read_only = on")
    administrator.execute("SELECT pg_reload_conf()")
    service.until(lambda: new_connections_only_read(database))
    expect_exceptions(service, job_id)
    assert service.status(job_id) == "RUNNING"
    administrator.execute("ALTER SYSTEM RESET default_transaction_read_only")
    administrator.execute("SELECT pg_reload_conf()")
    expect_recovery(service, job_id)


@on_postgres
def test_a_postgresql_that_is_killed_and_comes_back_soon(
    serve: Serve, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Soon is before the lease is over, however slowly a busy machine starts PostgreSQL.
    monkeypatch.setenv("RESCIND_LEASE_SECONDS", "60")
    service = serve()
    [job_id] = service.submit("demo_sleep__c", parameters={"seconds": 600})
    waiting = service.submit("demo_sleep__c", count=20, run_date="2099-01-01T00:00:00Z")
    service.until_logged(job_id, "Sleeping")
    service.cancel(*waiting[10:])
    own_server.kill()
    own_server.start()
    expect_recovery(service, job_id)
    assert service.evidence(job_id) == "STOPPED_ITSELF", "its lease was never over"
    for cancelled in waiting[10:]:
        service.until_status(cancelled, "CANCELLED")
    for kept in waiting[:10]:
        assert service.status(kept) == "SCHEDULED"


@on_postgres
def test_a_postgresql_that_is_away_for_longer_than_a_lease(
    serve: Serve, work: Work, own_server: Server, tmp_path: Path
) -> None:
    """What nobody can renew is stopped by its keeper, and said to be."""
    ledger = tmp_path / "ledger"
    ledger.touch()
    service = serve("--no-worker")
    work("--slots", "3")
    parameters = {"ledger": str(ledger)}
    [plain] = service.submit("ledger__c", parameters=parameters)
    [again] = service.submit("idempotent_ledger__c", parameters=parameters)
    [cancelled] = service.submit("holds_on__c", parameters=parameters)
    for job_id in (plain, again, cancelled):
        service.until_logged(job_id, "entered")
    own_server.kill()
    end = monotonic() + LEASE_SECONDS + 1
    expect_exceptions(service, plain)
    service.until(lambda: monotonic() > end)
    own_server.start()
    seconds = service.until(lambda: service.readiness == READY)
    show(f"ready again {seconds:.2f} s after the database was back")
    service.cancel(cancelled)
    service.until_status(cancelled, *FINAL)
    service.until_status(plain, "ERRORS_ENCOUNTERED")
    # The keeper killed it in time, and its worker says so where it is heard before the lease is
    # ended by the rescuer, who can only say that the worker is lost.
    assert service.evidence(plain) in ("WORKER_LOST", "KILLED")
    service.until(lambda: len(ledger.read_text().splitlines()) == 4)
    service.cancel(again)
    service.until_status(again, "CANCELLED")


@on_postgres
def test_a_worker_and_a_service_that_stop_while_the_database_is_away(
    serve: Serve, work: Work, own_server: Server
) -> None:
    service, worker = serve("--no-worker", "--slots", "1"), work("--slots", "1")
    own_server.kill()
    assert worker.end(signal.SIGTERM) == 0
    assert service.end(signal.SIGTERM) == 0
    own_server.start()
