"""How jobs run: results, errors, retries, time-outs, starts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from process.conftest import FINAL, Service, on_both_stores

Serve = Callable[..., Service]


@on_both_stores
def test_the_demo_jobs_end_as_they_say(serve: Serve) -> None:
    service = serve("--slots", "4")
    [sleep] = service.submit("demo_sleep__c", parameters={"seconds": 0.1})
    [count] = service.submit("demo_count__c", parameters={"items": 3, "seconds_per_item": 0.05})
    [fail] = service.submit("demo_fail__c")
    [wrong] = service.submit("demo_sleep__c", parameters={"seconds": "long"})
    expected = {
        sleep: "SUCCESS",
        count: "SUCCESS",
        fail: "ERRORS_ENCOUNTERED",
        wrong: "ERRORS_ENCOUNTERED",
    }
    for job_id, status in expected.items():
        service.until_status(job_id, *FINAL)
        assert service.status(job_id) == status
    assert "Counted 3 of 3" in service.log(count)
    assert "RuntimeError: This job fails on purpose" in service.log(fail)
    assert "must be a number" in service.log(wrong)


@on_both_stores
def test_a_job_that_runs_too_long_is_stopped_as_timeout(serve: Serve) -> None:
    service = serve()
    [job_id] = service.submit("times_out__c")
    service.until_status(job_id, *FINAL)
    assert service.status(job_id) == "TIMEOUT"
    assert "TIMEOUT after 0.3 seconds" in service.log(job_id)


@on_both_stores
def test_a_job_that_falls_silent_is_stopped_for_inactivity(serve: Serve) -> None:
    service = serve()
    [job_id] = service.submit("falls_silent__c")
    service.until_status(job_id, *FINAL)
    assert service.status(job_id) == "COMPLETED_DUE_TO_INACTIVITY"
    assert service.log(job_id).count(" alive\n") == 5


@on_both_stores
def test_a_job_that_raises_is_tried_again_as_often_as_it_may(serve: Serve) -> None:
    service = serve()
    [job_id] = service.submit("fails_twice__c")
    service.until_status(job_id, *FINAL)
    assert service.status(job_id) == "SUCCESS"
    log = service.log(job_id)
    assert [f"attempt {n}" in log for n in (1, 2, 3, 4)] == [True, True, True, False]


@on_both_stores
def test_a_job_runs_when_its_date_has_come(serve: Serve) -> None:
    service = serve()
    soon = datetime.now(UTC) + timedelta(seconds=0.7)
    [job_id] = service.submit("demo_sleep__c", run_date=soon.isoformat(), parameters={"seconds": 0})
    assert service.status(job_id) == "SCHEDULED"
    service.until_status(job_id, "SUCCESS")


@on_both_stores
def test_start_now_runs_the_same_id(serve: Serve) -> None:
    service = serve()
    [job_id] = service.submit(
        "demo_sleep__c", run_date="2099-01-01T00:00:00Z", parameters={"seconds": 0}
    )
    answer = service.client.post(f"/services/jobs/start_now/{job_id}").json()
    assert answer["job_id"] == job_id
    service.until_status(job_id, "SUCCESS")


def test_no_setting_is_in_the_environment_of_a_process_above_a_job(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESCIND_PASSWORD", "s3cret")
    monkeypatch.setenv("RESCIND_QUERY_SECONDS", "7")
    monkeypatch.setenv("KEPT", "kept")
    service = serve()
    [job_id] = service.submit("environments__c", parameters={"service": service.process.pid})
    service.until_status(job_id, *FINAL)
    details = service.client.get(f"/services/jobs/{job_id}/details").json()["data"]
    assert details["status"] == "SUCCESS", service.log(job_id)
    found = details["result"]
    assert len(found) == 5  # the run, its init, the warm parent, the keeper, the service
    for text in found.values():
        assert "KEPT=kept" in text
        assert "RESCIND_" not in text
        assert "s3cret" not in text
