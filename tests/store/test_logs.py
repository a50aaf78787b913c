"""Logs are bounded: the head and the tail stay, and a gap says how much is missing."""

import itertools

from rescind import limits
from rescind.model import LogChunk
from rescind.store.protocol import Store
from store.harness import submit


def test_chunks_come_back_in_order_and_without_gaps(store: Store) -> None:
    job_id, other = submit(store), submit(store)
    store.append_log([LogChunk(job_id=job_id, text=f"line \u00e9 {n}\n") for n in range(50)])
    store.append_log([LogChunk(job_id=other, text="other\n")])
    chunks = store.log(job_id)
    assert [chunk.text for chunk in chunks] == [f"line \u00e9 {n}\n" for n in range(50)]
    end = 0
    for chunk in chunks:
        assert chunk.start_byte == end
        end += len(chunk.text.encode())


def test_a_long_log_keeps_its_head_and_its_tail_within_the_bound(store: Store) -> None:
    job_id = submit(store)
    size = limits.LOG_CHUNK_BYTES_MAX
    chunks = 4 * limits.LOG_BYTES_MAX // size
    for n in range(chunks):
        store.append_log([LogChunk(job_id=job_id, text=f"{n:{size - 1}}\n")])
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


def test_a_log_of_a_job_that_is_gone_is_dropped(store: Store) -> None:
    store.append_log([LogChunk(job_id=7, text="nobody\n")])
    assert store.log(7) == []
