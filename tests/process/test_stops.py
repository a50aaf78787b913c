"""How each kind of stop goes, and how long it takes from acceptance to CANCELLED, by the store's
own events. ``STOPS`` sets how many of each kind.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from process.conftest import Service, figures, on_both_stores, show
from rescind import databases
from rescind.store.protocol import Store

STOPS = int(os.environ.get("STOPS", "8"))
SLOTS = 8


@pytest.fixture
def store(serve: Callable[..., Service], database: str) -> Iterator[Store]:
    """The database, beside the service."""
    databases.migrate(database)
    store = databases.open_store(database)
    yield store
    store.close()


@on_both_stores
@pytest.mark.timeout(120 + 10 * STOPS)
@pytest.mark.parametrize(
    ("how", "evidence"),
    [
        ("queued", "NEVER_STARTED"),
        ("sleeps", "STOPPED_ITSELF"),
        ("busy", "STOPPED_ITSELF"),
        ("native", "TERMINATED"),
        ("holds", "KILLED"),
    ],
)
def test_each_kind_of_stop_is_told_as_what_it_was(
    serve: Callable[..., Service],
    store: Store,
    database: str,
    tmp_path: Path,
    how: str,
    evidence: str,
) -> None:
    service = serve("--slots", str(SLOTS))
    ledger = tmp_path / "ledger"
    ledger.touch()
    parameters = {"ledger": str(ledger), "how": how, "seconds": 600}
    # However slow the machine is: who is to stop has time to, and who is to be forced is.
    name = {"native": "is_terminated__c", "holds": "storm__c"}.get(how, "stops_itself__c")
    later = {"run_date": "2099-01-01T00:00:00Z"} if how == "queued" else {}
    ids: list[int] = []
    while len(ids) < STOPS:
        batch = service.submit(name, count=SLOTS, parameters=parameters, **later)
        ids += batch
        if how != "queued":
            entries = len(ids)
            service.until(lambda: len(ledger.read_text().splitlines()) == entries)  # noqa: B023 - called at once
        for job_id in batch:
            service.cancel(job_id)
        for job_id in batch:
            service.until_status(job_id, "CANCELLED")
            assert service.evidence(job_id) == evidence
    events = [store.events(job_id)[-2:] for job_id in ids]
    times = [(settled.at - accepted.at).total_seconds() for accepted, settled in events]
    on = "SQLite" if database.startswith("sqlite:") else "PostgreSQL"
    show(f"{on}, {evidence}: {figures(times)} from acceptance to CANCELLED")
