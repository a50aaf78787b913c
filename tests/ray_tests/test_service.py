"""A whole service whose jobs run on a cluster: nodes that die, and what becomes of their jobs."""

import contextlib
import re
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from process.conftest import (
    FINAL,
    Service,
    Worker,
    database,
    on_postgres,
    serve,
    show,
    started,
    work,
)
from processes import is_alive
from ray_tests.conftest import keepers, on_nodes

__all__ = ["database", "serve", "started", "work"]

OPTIONS = ("--engine", "ray", "--slots", "12", "--ray-address")
"""As many as two nodes and one more have processors."""


def details(service: Service, job_id: int) -> dict[str, Any]:
    answer: dict[str, Any] = service.client.get(f"/services/jobs/{job_id}/details").json()["data"]
    return answer


def power_off(cluster: Any, node: Any) -> int:
    """A node dies as a machine does: everything on it at once, its raylet first. How many keepers
    it had.
    """
    [raylet] = [one.process.pid for one in node.all_processes["raylet"]]
    on_it = [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get("RAY_RAYLET_PID") == str(raylet)
    ]
    kept = [process for process in on_it if process.name() == "rescind-keeper"]
    for process in (psutil.Process(raylet), *on_it):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    cluster.remove_node(node, allow_graceful=False)
    return len(kept)


def test_a_node_that_dies_under_load_takes_only_what_ran_on_it(
    cluster: Any, serve: Callable[..., Service]
) -> None:
    node = cluster.add_node(num_cpus=4)
    service = serve(*OPTIONS, cluster.address, jobs=("ray_tests.jobs_on_nodes",))
    once = service.submit("once__c", 6, parameters={"seconds": 5})
    again = service.submit("again__c", 40, parameters={"seconds": 2})
    once += service.submit("once__c", 20, parameters={"seconds": 1})
    everywhere = [*again, *once]
    service.until(lambda: len(keepers()) == 12)
    assert power_off(cluster, node) > 0
    service.until(lambda: all(service.status(job_id) in FINAL for job_id in everywhere))
    found = {job_id: details(service, job_id) for job_id in everywhere}
    books = Counter((found[job_id]["job_metadata"], found[job_id]["status"]) for job_id in found)
    show(f"a node that died under load: {dict(books)}")
    assert {found[job_id]["status"] for job_id in again} == {"SUCCESS"}
    for job_id in once:
        job = found[job_id]
        starts = sum(move["move"] == "claim" for move in job["moves"])
        if job["status"] != "SUCCESS":
            assert job["status"] == "ERRORS_ENCOUNTERED"
            assert job["evidence"] == "WORKER_LOST"
            assert starts == 1, "it may not be started twice"


def test_a_cancel_of_a_run_whose_node_has_died_is_kept(
    cluster: Any, serve: Callable[..., Service]
) -> None:
    node = cluster.add_node(num_cpus=4)
    service = serve(*OPTIONS, cluster.address, jobs=("ray_tests.jobs_on_nodes",))
    ids = service.submit("again__c", 12, parameters={"seconds": 3_600})
    for job_id in ids:
        service.until_status(job_id, "RUNNING")
        service.until_logged(job_id, "entered")
    assert power_off(cluster, node) > 0
    assert all(item["responseStatus"] == "SUCCESS" for item in service.cancel(*ids))
    for job_id in ids:
        service.until_status(job_id, "CANCELLED")
    evidence = Counter(service.evidence(job_id) for job_id in ids)
    show(f"cancelled when their node had died: {dict(evidence)}")
    assert set(evidence) == {"STOPPED_ITSELF", "WORKER_LOST"}


def test_a_job_that_no_node_is_large_enough_for_waits(
    cluster: Any, serve: Callable[..., Service]
) -> None:
    service = serve(*OPTIONS, cluster.address, jobs=("ray_tests.jobs_placed",))
    [vast] = service.submit("vast__c")
    [small] = service.submit("small__c")
    service.until_status(small, "SUCCESS")
    assert service.status(vast) == "QUEUED"
    service.until(lambda: bool(details(service, vast)["obstacles"]))
    found = details(service, vast)
    assert [move["move"] for move in found["moves"]] == ["submit"]
    [obstacle] = found["obstacles"]
    assert obstacle["worker"].startswith("worker-")
    assert "No node of the cluster is large enough: it asks for 64 proc" in obstacle["reason"]
    service.cancel(vast)
    service.until_status(vast, "CANCELLED")


@on_postgres
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_what_a_worker_ran_that_is_lost_has_ended_before_another_starts_it_again(
    cluster: Any, serve: Callable[..., Service], work: Callable[..., Worker], number: signal.Signals
) -> None:
    service = serve("--no-worker")
    options = ("--engine", "ray", "--slots", "2", "--ray-address", cluster.address)
    first = work(*options, "--jobs", "ray_tests.jobs_on_nodes")
    [job_id] = service.submit("again__c", parameters={"seconds": 3_600})
    service.until_logged(job_id, "entered as")
    [pid] = entries(service, job_id)
    second = work(*options, "--jobs", "ray_tests.jobs_on_nodes")
    first.process.send_signal(number)
    service.until(lambda: details(service, job_id)["worker"] == second.id)
    assert not is_alive(pid)
    service.until(lambda: len(entries(service, job_id)) == 2)
    if number is signal.SIGSTOP:
        first.process.send_signal(signal.SIGCONT)
    else:
        first.ended()
    assert details(service, job_id)["attempt"] == 2
    service.cancel(job_id)
    service.until_status(job_id, "CANCELLED")
    assert service.evidence(job_id) == "STOPPED_ITSELF"
    assert not any(is_alive(pid) for pid in entries(service, job_id))


def entries(service: Service, job_id: int) -> list[int]:
    """The processes of a job's runs."""
    return [int(pid) for pid in re.findall(r"entered as (\d+)", service.log(job_id))]


def test_a_drained_service_leaves_nothing_on_any_node(
    cluster: Any, serve: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESCIND_DRAIN_SECONDS", "0")
    service = serve(*OPTIONS, cluster.address, jobs=("ray_tests.jobs_on_nodes",))
    ids = service.submit("again__c", 3, parameters={"seconds": 3_600})
    for job_id in ids:
        service.until_logged(job_id, "entered")
    mine = on_nodes()
    assert len(mine) >= 12
    assert service.end() == 0
    _, alive = psutil.wait_procs(mine, timeout=30)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]


def test_a_service_that_is_killed_leaves_nothing_on_any_node(
    cluster: Any, serve: Callable[..., Service]
) -> None:
    service = serve(*OPTIONS, cluster.address, jobs=("ray_tests.jobs_on_nodes",))
    [job_id] = service.submit("again__c", parameters={"seconds": 3_600})
    service.until_logged(job_id, "entered")
    mine = on_nodes()
    service.process.kill()
    service.ended()
    _, alive = psutil.wait_procs(mine, timeout=60)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
