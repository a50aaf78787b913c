"""What the job test of Veeva's own client library does, in its order, in profile vault.

It polls every ten seconds, as the rate limit of job status wants it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from process.conftest import Service, on_both_stores, show

POLL_SECONDS = 10.0
ROW = [
    *("job_id", "title", "status", "created_by", "created_date"),
    *("modified_by", "modified_date", "run_start_date"),
]


class Client:
    """Requests, each shown with its answer."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def ask(self, method: str, path: str, json: Any = None) -> dict[str, Any]:
        answer = self._service.client.request(method, f"/services/jobs{path}", json=json)
        show(f"{method} /services/jobs{path}{'' if json is None else f' {json}'}")
        show(f"    {answer.text.strip()}")
        assert answer.status_code == 200
        payload: dict[str, Any] = answer.json()
        assert payload["responseStatus"] == "SUCCESS", payload
        return payload

    def page(self, name: str) -> list[dict[str, Any]]:
        """The last day's, every published field of which is there."""
        yesterday = (datetime.now(UTC) - timedelta(days=1)).isoformat().replace("+00:00", "Z")
        payload = self.ask("GET", f"/{name}?start_date={yesterday}[Etc/UTC]&limit=200")
        assert {"total", "limit", "offset"} <= payload["responseDetails"].keys()
        jobs: list[dict[str, Any]] = payload["jobs"]
        wanted = [*ROW, "run_end_date"] if name == "histories" else ROW
        for job in jobs:
            assert [field for field in wanted if job.get(field) is None] == []
        return jobs

    def until_finished(self, job_id: int) -> str:
        """Poll as the client does; the final status."""
        for _ in range(30):
            status = str(self.ask("GET", f"/{job_id}")["data"]["status"])
            if status in ("SUCCESS", "CANCELLED", "ERRORS_ENCOUNTERED"):
                return status
            end = monotonic() + POLL_SECONDS
            self._service.until(lambda end=end: monotonic() >= end)  # type: ignore[misc]
        raise AssertionError("not finished in 300 seconds")


@on_both_stores
def test_the_job_test_of_veevas_client_library(serve: Callable[..., Service]) -> None:
    service = serve("--profile", "vault")
    client = Client(service)
    # Until there are schedules, the next instance is submitted beforehand.
    service.submit("vapil_test_job__c", count=2, run_date="2099-01-01T00:00:00Z")
    found = [
        job["job_id"]
        for job in client.page("monitors")
        if job["title"] == "vapil_test_job__c" and job["status"] == "SCHEDULED"
    ]
    first, second = found
    assert client.ask("POST", f"/start_now/{first}")["job_id"] == first
    assert client.until_finished(first) == "SUCCESS"
    assert client.ask("POST", f"/start_now/{second}")["job_id"] == second
    assert client.ask("GET", f"/{second}")["data"]["status"] == "QUEUEING"
    answer = client.ask("POST", "/actions/cancel", json=[{"job_id": second}])
    assert answer["data"] == [{"responseStatus": "SUCCESS", "data": {"id": second}}]
    tasks = client.ask("GET", f"/{first}/tasks")
    assert (tasks["job_id"], tasks["tasks"], tasks["responseDetails"]["total"]) == (first, [], 0)
    service.until(lambda: not client.page("monitors"))
    histories = {job["job_id"]: job["status"] for job in client.page("histories")}
    assert histories == {first: "SUCCESS", second: "CANCELLED"}
