"""Logs are bounded: the head and the tail stay, and a gap says how much is missing."""

import itertools

import pytest

from rescind import limits
from rescind.lifecycle import Status
from rescind.model import LogChunk, RunRef
from rescind.store.protocol import Store
from store.harness import WORKER, log, place


def test_chunks_come_back_in_order_and_without_gaps(store: Store) -> None:
    job_id, other = place(store, Status.RUNNING), place(store, Status.RUNNING)
    log(store, job_id, *(f"line \u00e9 {n}\n" for n in range(50)))
    log(store, other, "other\n")
    chunks = store.log(job_id)
    assert [chunk.text for chunk in chunks] == [f"line \u00e9 {n}\n" for n in range(50)]
    end = 0
    for chunk in chunks:
        assert chunk.start_byte == end
        end += len(chunk.text.encode())


def test_a_long_log_keeps_its_head_and_its_tail_within_the_bound(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    size = limits.LOG_CHUNK_BYTES_MAX
    chunks = 4 * limits.LOG_BYTES_MAX // size
    for n in range(chunks):
        log(store, job_id, f"{n:{size - 1}}\n")
        kept = store.log(job_id)
        assert sum(len(chunk.text.encode()) for chunk in kept) <= limits.LOG_BYTES_MAX
    kept = store.log(job_id)
    assert kept[0].text.split() == ["0"]
    assert kept[-1].text.split() == [str(chunks - 1)]
    assert sum(len(chunk.text.encode()) for chunk in kept) > limits.LOG_BYTES_MAX * 3 // 4
    gaps = [
        after.start_byte - before.start_byte - len(before.text.encode())
        for before, after in itertools.pairwise(kept)
    ]
    assert sum(gap > 0 for gap in gaps) == 1
    assert sum(gaps) == chunks * size - sum(len(chunk.text.encode()) for chunk in kept)


@pytest.mark.parametrize("status", sorted(set(Status) - {Status.RUNNING, Status.CANCELLING}))
def test_a_worker_logs_only_for_what_it_holds(store: Store, status: Status) -> None:
    job_id = place(store, status)
    log(store, job_id, "too late\n")
    assert store.log(job_id) == []


def test_another_worker_or_attempt_does_not_log(store: Store) -> None:
    job_id = place(store, Status.CANCELLING)
    run = RunRef(job_id, 1)
    store.append_log("worker-2", [LogChunk(run=run, text="no\n")])
    store.append_log(WORKER.by, [LogChunk(run=RunRef(job_id, 2), text="no\n")])
    store.append_log(WORKER.by, [LogChunk(run=RunRef(job_id + 1, 1), text="no\n")])
    assert store.log(job_id) == []
    store.append_log(WORKER.by, [LogChunk(run=run, text="yes\n")])
    assert [chunk.text for chunk in store.log(job_id)] == ["yes\n"]


def test_a_log_is_read_from_the_chunk_that_holds_a_byte_on(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    log(store, job_id, "one\n", "two\n", "three\n")
    for from_byte, first in [(0, "one"), (3, "one"), (4, "two"), (8, "three"), (13, "three")]:
        assert store.log(job_id, from_byte=from_byte)[0].text == f"{first}\n"
    for beyond in (14, 15, 10**15):
        assert store.log(job_id, from_byte=beyond) == []


def test_a_byte_in_the_gap_of_a_long_log_leads_to_what_comes_after_it(store: Store) -> None:
    job_id = place(store, Status.RUNNING)
    size = limits.LOG_CHUNK_BYTES_MAX
    for n in range(3 * limits.LOG_BYTES_MAX // size):
        log(store, job_id, f"{n:{size - 1}}\n")
    kept = store.log(job_id)
    end = 0
    for chunk in kept:
        if chunk.start_byte > end:
            break
        end = chunk.start_byte + size
    tail = [chunk for chunk in kept if chunk.start_byte > end]
    for from_byte in (end, end + 1, tail[0].start_byte - 1, tail[0].start_byte):
        assert store.log(job_id, from_byte=from_byte) == tail
