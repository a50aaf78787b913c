"""How long lists take in a full database, and cancels beside those who read them.

Beside each figure its floor in the same run: an authenticated request that asks for one row. In a
month's database (``--finished``, ``--unfinished``), on SQLite and on PostgreSQL:

    .venv/bin/python bench/lists.py
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.append(str(Path(__file__).parents[1] / "tests"))

import apsw
import psycopg
from service import JOBS, Service

from full import fill_postgres, fill_sqlite
from postgres import Server
from rescind import limits
from rescind.clock import SystemClock
from rescind.service import accounts
from rescind.service.policy import Permission
from rescind.store.postgres.store import PostgresStore
from rescind.store.protocol import Store
from rescind.store.sqlite.migration import migrate
from rescind.store.sqlite.store import SqliteStore
from store.harness import USER, metadata, new_job, register

PASSWORD = "correct horse battery"
FLOOR = "/api/v26.1/objects/users/me"
CREATOR = frozenset({Permission.API_ACCESS, Permission.JOBS_READ, Permission.JOBS_CREATE})
READERS = 16
ENDINGS = 30
AT_ONCE = limits.CANCEL_BATCH_JOBS_MAX
JOB = metadata(name="bench__c")
LATER = datetime(2099, 1, 1, tzinfo=UTC)


def requests() -> dict[str, str]:
    """What is asked for, by what it is called."""

    def day(days_ago: float) -> str:
        return (datetime.now(UTC) - timedelta(days=days_ago)).strftime("%Y-%m-%dT%H:%M:%SZ")

    histories, monitors = f"{JOBS}/histories", f"{JOBS}/monitors"
    return {
        "floor: users/me": FLOOR,
        "histories": histories,
        "histories, success": f"{histories}?status=success",
        "histories, cancelled": f"{histories}?status=cancelled",
        "histories, failed_to_run (none)": f"{histories}?status=failed_to_run",
        "histories, last day": f"{histories}?start_date={day(1)}",
        "histories, a day long ago": f"{histories}?start_date={day(25)}&end_date={day(24)}",
        "histories, last day, cancelled": f"{histories}?start_date={day(1)}&status=cancelled",
        "histories, but the last 15 days": f"{histories}?end_date={day(15)}",
        "monitors": monitors,
        "monitors, scheduled": f"{monitors}?status=scheduled",
        "monitors, last day": f"{monitors}?start_date={day(1)}",
    }


def percentiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return tuple(1000 * ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))  # type: ignore[return-value]


def lists(service: Service, rounds: int) -> None:
    for name, path in requests().items():
        taken = [service.request("GET", path) for _ in range(rounds + 5)][5:]
        p50, p99 = percentiles([seconds for seconds, _ in taken])
        details = taken[0][1].get("responseDetails", {"total": ""})
        print(f"  {name:34} {p50:8.1f} {p99:8.1f}   {details['total']}", flush=True)


def cancels(service: Service, rounds: int, what: str) -> None:
    """One scheduled job is submitted and cancelled at a time; the cancel is measured."""
    item = {"job_metadata": "bench__c", "run_date": "2099-01-01T00:00:00Z"}
    seconds = []
    for _ in range(rounds):
        _, answer = service.request("POST", JOBS, [item])
        job_id = answer["data"][0]["data"]["id"]
        taken, _ = service.request("POST", f"{JOBS}/actions/cancel", [{"job_id": job_id}])
        seconds.append(taken)
    p50, p99 = percentiles(seconds)
    print(f"  {what:34} {p50:8.1f} {p99:8.1f}", flush=True)


@contextmanager
def readers(service: Service, path: str) -> Iterator[None]:
    """So many clients that ask again and again, by GET."""
    command = [sys.executable, str(Path(__file__).parent / "reader.py"), service.address, path]
    environment = {**os.environ, "SESSION": service.session}
    clients = [subprocess.Popen(command, env=environment) for _ in range(READERS)]
    time.sleep(2)  # until all of them ask
    yield
    for client in clients:
        client.terminate()
    for client in clients:
        client.wait()


def endings(store: Store, drop: Callable[[str], None], rounds: int) -> None:
    """What the indexes of finished jobs cost those who end: a cancel of many jobs, and their
    settling, beside the same without the indexes.
    """
    for what in (f"{AT_ONCE} jobs", "the same without the indexes of lists"):
        cancelling, settling = [], []
        for _ in range(rounds):
            jobs = store.submit([new_job(metadata=JOB, run_at=LATER)] * AT_ONCE, USER)
            ids = [job.id or 0 for job in jobs]
            began = time.perf_counter()
            store.cancel(ids, USER, running_allowed=True, owner=None)
            between = time.perf_counter()
            assert len(store.settle(USER, limit=AT_ONCE)) == AT_ONCE
            cancelling.append(between - began)
            settling.append(time.perf_counter() - between)
        for verb, seconds in (("cancel", cancelling), ("settle", settling)):
            p50, p99 = percentiles(seconds)
            print(f"  {f'{verb} {what}':48} {p50:8.1f} {p99:8.1f}", flush=True)
        for index in ("job_finished", "job_ended", "job_named"):
            drop(f"DROP INDEX IF EXISTS {index}")
    store.close()


def prepare(store: Store) -> None:
    """An administrator, and a job that can be submitted."""
    accounts.add_user(store, "admin", PASSWORD, frozenset(Permission))
    accounts.add_user(store, "creator", PASSWORD, CREATOR)
    register(store, JOB)
    store.close()


def measure(name: str, service: Service, rounds: int) -> None:
    print(f"{name}: milliseconds, p50 and p99; total", flush=True)
    lists(service, rounds)
    for _ in range(2):
        cancels(service, rounds, "cancel of one job, idle")
        with readers(service, f"{JOBS}/histories"):
            cancels(service, rounds, f"the same beside {READERS} of histories")
        with readers(service, FLOOR):
            cancels(service, rounds, f"the same beside {READERS} of the floor")


def arguments(description: str | None, **more: float) -> argparse.Namespace:
    """What a bench in a full database may be told, with its defaults."""
    parser = argparse.ArgumentParser(description=description)
    for name, value in {"finished": 1_000_000, "unfinished": 10_000, "rounds": 200, **more}.items():
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--stores", nargs="+", default=["sqlite", "postgres"])
    return parser.parse_args()


@contextmanager
def full_database(kind: str, given: argparse.Namespace) -> Iterator[tuple[str, Service]]:
    """The URL of a full database, and a service on it."""
    with TemporaryDirectory() as folder:
        if kind == "sqlite":
            path = Path(folder) / "bench.db"
            migrate(path)
            prepare(SqliteStore(path, SystemClock()))
            fill_sqlite(str(path), given.finished, given.unfinished)
            yield (
                f"sqlite:///{path}",
                Service(folder, None, [], database=f"sqlite:///{path}", password=PASSWORD),
            )
            return
        server = Server()
        with server.database() as url:
            prepare(PostgresStore(url))
            fill_postgres(url, given.finished, given.unfinished)
            yield url, Service(folder, None, [], database=url, password=PASSWORD)
        server.stop()


def main() -> None:
    given = arguments(__doc__)
    for kind in given.stores:
        with full_database(kind, given) as (url, service):
            measure(kind, service, given.rounds)
            service.end()
            if kind == "sqlite":
                path = Path(url.removeprefix("sqlite:///"))
                connection = apsw.Connection(str(path))
                endings(SqliteStore(path, SystemClock()), connection.execute, ENDINGS)
                connection.close()
            else:
                with psycopg.connect(url, autocommit=True) as database:
                    drop = lambda text: database.execute(text.encode())  # noqa: E731
                    endings(PostgresStore(url), drop, ENDINGS)


if __name__ == "__main__":
    main()
