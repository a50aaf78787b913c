"""The logbook: batches, chunks and its bound."""

from datetime import UTC, datetime, timedelta

from rescind import limits
from rescind.engines.protocol import Logged
from rescind.model import RunRef
from rescind.runtime.logbook import Logbook, log_line

AT = datetime(2024, 3, 1, 0, 50, 1, 741_000, tzinfo=UTC)


def test_a_line_begins_with_its_instant_in_milliseconds() -> None:
    assert log_line(AT, "hello") == "2024-03-01T00:50:01.741Z hello\n"


def test_what_was_written_after_a_cancel_is_marked() -> None:
    book = Logbook()
    book.add(Logged(RunRef(1, 1), AT, "hello", after_cancel=True))
    [chunk] = book.chunks()
    assert chunk.text == "2024-03-01T00:50:01.741Z [after cancel] hello\n"


def test_lines_of_each_job_are_gathered_in_order() -> None:
    book = Logbook()
    assert not book
    book.add(Logged(RunRef(1, 1), AT, "a"))
    book.add(Logged(RunRef(2, 1), AT + timedelta(seconds=1), "b"))
    book.add(Logged(RunRef(1, 1), AT + timedelta(seconds=2), "c"))
    chunks = {chunk.run.job_id: chunk.text for chunk in book.chunks()}
    assert [line[25:] for line in chunks[1].splitlines()] == ["a", "c"]
    assert [line[25:] for line in chunks[2].splitlines()] == ["b"]
    book.clear()
    assert not book


def test_chunks_are_whole_lines_within_their_bound() -> None:
    book = Logbook()
    for n in range(100):
        book.add(Logged(RunRef(1, 1), AT, f"{n} " + "x" * 5_000))
    chunks = book.chunks()
    assert len(chunks) > 5
    assert all(len(chunk.text.encode()) <= limits.LOG_CHUNK_BYTES_MAX for chunk in chunks)
    assert "".join(chunk.text for chunk in chunks).count("\n") == 100


def test_lines_beyond_the_bound_are_dropped_and_counted() -> None:
    book = Logbook()
    line = "x" * (limits.LOG_LINE_BYTES_MAX - 30)
    fitting = limits.LOG_PENDING_BYTES_MAX // len(log_line(AT, line))
    for _ in range(fitting + 5):
        book.add(Logged(RunRef(1, 1), AT, line))
    kept = 0
    while book:
        chunks = book.chunks()
        assert 0 < sum(len(chunk.text) for chunk in chunks) <= limits.LOG_FLUSH_BYTES_MAX
        kept += sum(chunk.text.count("\n") for chunk in chunks)
        book.clear()
    assert kept == fitting
    book.add(Logged(RunRef(1, 1), AT, "back"))
    [chunk] = book.chunks()
    assert chunk.text.count("\n") == 2
    assert "5 lines were dropped" in chunk.text


def test_lines_that_were_dropped_are_told_of_even_if_the_run_says_nothing_more() -> None:
    book = Logbook()
    filler, run = RunRef(1, 1), RunRef(2, 1)
    line = "x" * (limits.LOG_LINE_BYTES_MAX - 30)
    for _ in range(limits.LOG_PENDING_BYTES_MAX // len(log_line(AT, line)) + 1):
        book.add(Logged(filler, AT, line))
    for _ in range(3):
        book.add(Logged(run, AT, line))
    book.end(run, AT)
    told = []
    while book:
        told += [chunk.text for chunk in book.chunks() if chunk.run == run]
        book.clear()
    assert "3 lines were dropped" in "".join(told)
