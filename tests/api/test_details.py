"""One job in one answer, and its log from a position: Rescind's own."""

import itertools
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from api.conftest import ADA_ID, failure
from rescind import limits
from rescind.lifecycle import Evidence, Status
from rescind.model import RunEnd, RunProgress, RunRetry
from rescind.store.protocol import Store
from store import harness
from store.harness import SYSTEM, WORKER

JOBS = "/api/v26.1/services/jobs"
Headers = dict[str, str]
KEYS = [
    *("id", "job_metadata", "title", "status", "priority", "queue", "parameters", "unique_key"),
    *("created_by", "created_date", "modified_by", "modified_date", "run_date", "queue_date"),
    *("run_start_date", "run_end_date", "attempt", "attempts_max", "worker", "evidence"),
    *("result", "progress", "errors", "moves", "rerun_of", "reruns", "obstacles"),
]
MOVE = [
    *("move", "from", "to", "date", "user_id", "user_name", "by", "reason", "request_id"),
    *("attempt", "evidence"),
]


def test_details_tell_all_of_a_job_that_was_tried_twice(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job = harness.new_job(metadata=harness.metadata(attempts_max=2), unique_key="k")
    job_id = harness.place(store, Status.RUNNING, job)
    run = harness.run_of(store, job_id)
    evidence = Evidence.STOPPED_ITSELF
    store.retry(WORKER, [RunRetry(run=run, evidence=evidence, error="boom", delay_seconds=0)])
    store.stage(SYSTEM, limit=1)
    harness.claim(store, job_id)
    run = harness.run_of(store, job_id)
    store.write_progress(WORKER.by, [RunProgress(run=run, done=3, total=4)])
    end = RunEnd(
        run=run, status=Status.SUCCESS, evidence=evidence, stopped=False, result={"rows": [1, None]}
    )
    store.finish(WORKER, [end])
    answer = api.get(f"{JOBS}/{job_id}/details", headers=ada).json()
    assert list(answer) == ["responseStatus", "data"]
    data = answer["data"]
    assert list(data) == KEYS
    row = harness.row(store, job_id)
    assert (data["id"], data["status"], data["unique_key"]) == (job_id, "SUCCESS", "k")
    assert (data["attempt"], data["attempts_max"]) == (2, 2)
    assert (data["result"], data["progress"]) == ({"rows": [1, None]}, {"done": 3, "total": 4})
    assert (data["evidence"], data["worker"], data["parameters"]) == (None, None, row.parameters)
    [error] = data["errors"]
    assert list(error) == ["attempt", "date", "error"]
    assert (error["attempt"], error["error"]) == (1, "boom")
    moves = data["moves"]
    assert [list(move) for move in moves] == [MOVE] * 6
    assert [move["move"] for move in moves] == [
        "submit", "claim", "retry", "stage", "claim", "finish",
    ]  # fmt: skip
    assert (moves[0]["from"], moves[0]["to"]) == (None, "QUEUED")
    assert (moves[0]["user_id"], moves[0]["user_name"], moves[0]["by"]) == (ADA_ID, "ada", "user")
    assert (moves[5]["user_name"], moves[5]["by"]) == ("System", WORKER.by)


def test_details_say_who_cancelled_why_and_by_which_request(
    api: TestClient, ada: Headers, store: Store
) -> None:
    job_id = harness.place(store, Status.QUEUED)
    headers = {**ada, "X-Rescind-Reason": "wrong month"}
    cancelled = api.post(f"{JOBS}/actions/cancel", json=[{"job_id": job_id}], headers=headers)
    data = api.get(f"{JOBS}/{job_id}/details", headers=ada).json()["data"]
    move = data["moves"][-1]
    assert (move["move"], move["reason"]) == ("cancel", "wrong month")
    assert move["request_id"] == cancelled.headers["x-vaultapi-executionid"]
    nothing = ("result", "progress", "evidence", "run_start_date", "run_end_date", "rerun_of")
    assert {data[name] for name in nothing} == {None}


@pytest.mark.parametrize("status", Status)
def test_every_job_that_can_exist_has_details(
    api: TestClient, ada: Headers, store: Store, status: Status
) -> None:
    job_id = harness.place(store, status)
    data = api.get(f"{JOBS}/{job_id}/details", headers=ada).json()["data"]
    assert (data["status"], data["moves"][-1]["to"]) == (status, status)
    accept = {**ada, "Accept": "application/xml"}
    text = api.get(f"{JOBS}/{job_id}/details", headers=accept).text
    assert f"<id>{job_id}</id>" in text
    assert "<moves><move><move>submit</move>" in text


def test_details_are_for_who_may_read_the_job(
    api: TestClient, sign_in: Callable[[str], Headers], store: Store
) -> None:
    job_id = harness.submit(store)
    assert failure(api.get(f"{JOBS}/{job_id}/details", headers=sign_in("creator"))) == (
        "INVALID_DATA",
        f"Job [{job_id}] is not found",
    )
    seen = api.get(f"{JOBS}/{job_id}/details", headers=sign_in("reader"))
    assert seen.json()["data"]["id"] == job_id


@pytest.mark.parametrize("context", ["vault"], indirect=True)
def test_profile_vault_has_no_details(api: TestClient, ada: Headers, store: Store) -> None:
    path = f"{JOBS}/{harness.submit(store)}/details"
    for method in ("GET", "POST"):
        answer = api.request(method, path, headers=ada)
        assert answer.status_code == 404
        assert answer.json()["errors"][0]["type"] == "MALFORMED_URL"


class TestLogFromAPosition:
    """``GET …/log?from=BYTE``."""

    def follow(
        self, api: TestClient, headers: Headers, job_id: int, position: str
    ) -> tuple[str, str, bool]:
        answer = api.get(f"{JOBS}/{job_id}/log", params={"from": position}, headers=headers)
        end = answer.headers.get("x-rescind-log-end")
        assert end in (None, "true")
        return answer.text, answer.headers["x-rescind-log-next"], end is not None

    @pytest.mark.parametrize("context", ["open", "vault"], indirect=True)
    def test_following_gives_each_byte_once_and_the_summary_at_the_end(
        self, api: TestClient, ada: Headers, store: Store
    ) -> None:
        job_id = harness.submit(store)
        assert self.follow(api, ada, job_id, "0") == ("", "0", False)
        harness.claim(store, job_id)
        harness.log(store, job_id, "gr\u00fc\u00dfe 1\n", "2\n")
        first = self.follow(api, ada, job_id, "0")
        assert first == ("gr\u00fc\u00dfe 1\n2\n", "12", False)
        assert self.follow(api, ada, job_id, "12") == ("", "12", False)
        harness.log(store, job_id, "3\n")
        assert self.follow(api, ada, job_id, "12") == ("3\n", "14", False)
        harness.log(store, job_id, "4\n")
        harness.finish(store, job_id)
        text, position, ended = self.follow(api, ada, job_id, "14")
        assert (text[:2], position, ended) == ("4\n", "16", True)
        assert "Job Completion Status: SUCCESS" in text
        assert api.get(f"{JOBS}/{job_id}/log", headers=ada).text.startswith(
            "gr\u00fc\u00dfe 1\n2\n"
        )

    def test_a_byte_within_a_line_or_a_character_is_no_reason_to_break_one(
        self, api: TestClient, ada: Headers, store: Store
    ) -> None:
        job_id = harness.place(store, Status.RUNNING)
        harness.log(store, job_id, "a\U0001f600b\n")
        for position, text in {
            0: "a\U0001f600b\n",
            1: "\U0001f600b\n",
            2: "b\n",
            4: "b\n",
            6: "\n",
        }.items():
            assert self.follow(api, ada, job_id, str(position)) == (text, "7", False)

    def test_what_a_long_log_has_lost_is_named_from_the_position_on(
        self, api: TestClient, ada: Headers, store: Store
    ) -> None:
        job_id = harness.place(store, Status.RUNNING)
        size = limits.LOG_CHUNK_BYTES_MAX
        for _ in range(3 * limits.LOG_BYTES_MAX // size):
            harness.log(store, job_id, "x" * (size - 1) + "\n")
        kept = store.log(job_id)
        begin = next(
            before.start_byte + size
            for before, after in itertools.pairwise(kept)
            if after.start_byte > before.start_byte + size
        )
        [after] = [chunk.start_byte for chunk in kept if chunk.start_byte > begin][:1]
        for position in (begin, begin + 1):
            text, _, _ = self.follow(api, ada, job_id, str(position))
            assert text.startswith(f"... {after - position:,} bytes are missing here ...\nx")
        text, _, _ = self.follow(api, ada, job_id, str(after))
        assert text.startswith("x")

    @pytest.mark.parametrize("position", ["-1", "x", "1.5", "1e3", str(2**53), "\u0661"])
    def test_what_is_no_position_is_refused(
        self, api: TestClient, ada: Headers, store: Store, position: str
    ) -> None:
        job_id = harness.submit(store)
        answer = api.get(f"{JOBS}/{job_id}/log", params={"from": position}, headers=ada)
        error_type, message = failure(answer)
        assert error_type == "INVALID_DATA"
        assert message.startswith(f"from [{position}]")
