"""The output of a run, taken apart and put in order however it comes in."""

from hypothesis import given
from hypothesis import strategies as st

from rescind import limits
from rescind.engines.lines import lines_of, lines_of_block
from rescind.engines.process.records import RecordReader, Source, records_of
from rescind.engines.process.spool import Spool
from rescind.engines.process.transcript import Transcript

MARK = b"0123456789abcdef"
THREAD, OTHER = Source(7, 1, 0), Source(7, 2, 0)


def said(source: Source, text: str) -> bytes:
    return b"".join(records_of(MARK, source, text.encode()))


def lines_in(*pieces: bytes) -> list[str]:
    transcript = Transcript(MARK)
    blocks = [block for piece in pieces for block in transcript.feed(piece)]
    blocks += transcript.close()
    return [line for block in blocks for line in lines_of_block(block)]


PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\0", b"\0" + MARK[:5], b"\0" + MARK[:15], b"\0\0", b"\n"]),
    st.tuples(st.sampled_from([THREAD, OTHER, Source(7, 1, 3)]), st.text(max_size=5_000)).map(
        lambda pair: said(*pair)
    ),
)


def parts_of(*pieces: bytes) -> list[tuple[Source | None, bytes]]:
    """What a reader tells, with what follows one another put together."""
    reader = RecordReader(MARK)
    told = [part for piece in pieces for part in reader.feed(piece)]
    joined: list[tuple[Source | None, bytes]] = []
    for source, text in [*told, (None, reader.close())]:
        if source is None and joined and joined[-1][0] is None:
            text = joined.pop()[1] + text  # noqa: PLW2901 - the two are one
        if text:
            joined.append((source, text))
    return joined


@given(st.lists(PIECES, max_size=8), st.integers(1, 70))
def test_where_the_bytes_are_split_makes_no_difference(pieces: list[bytes], size: int) -> None:
    whole = b"".join(pieces)
    split = [whole[start : start + size] for start in range(0, len(whole), size)]
    assert parts_of(*split) == parts_of(whole)


@given(st.text(min_size=1, max_size=20_000))
def test_a_record_is_one_write_that_the_system_keeps_whole(text: str) -> None:
    records = list(records_of(MARK, THREAD, text.encode()))
    assert max(len(record) for record in records) <= 4096
    assert b"".join(part for record in records for _, part in RecordReader(MARK).feed(record)) == (
        text.encode()
    )


def test_lines_of_threads_are_put_together_apart() -> None:
    assert lines_in(
        said(THREAD, "a"), said(OTHER, "x y"), said(THREAD, " b\n"), said(OTHER, "\n")
    ) == [
        "a b",
        "x y",
    ]


def test_a_line_just_begun_is_gone_on_with_between_programs_and_threads() -> None:
    assert lines_in(said(THREAD, "n = "), b"42\nand ", said(OTHER, "so\n"), b"on\n") == [
        "n = 42",
        "and so",
        "on",
    ]
    log = said(Source(7, 1, 1), "logged\n")
    assert lines_in(b"begun", log, b"ended\n") == ["begun", "logged", "ended"]


def test_a_programs_full_buffer_has_begun_no_line_by_itself() -> None:
    block = b"x\n" * 2047 + b"be"
    assert len(block) == 4096
    lines = lines_in(block, said(OTHER, "between\n"), b"gun\n")
    assert lines[-2:] == ["between", "begun"]


def test_a_log_line_ends_what_its_thread_has_begun() -> None:
    log = said(Source(7, 1, 1), "logged\n")
    assert lines_in(said(THREAD, "begun"), said(OTHER, "other"), log, said(OTHER, " ends\n")) == [
        "begun",
        "logged",
        "other ends",
    ]


def test_lines_that_were_never_ended_are_kept_and_their_number_is_bounded() -> None:
    many = [said(Source(n, 1, 0), str(n)) for n in range(1, limits.LINES_BEGUN_MAX + 50)]
    assert lines_in(*many) == [str(n) for n in range(1, limits.LINES_BEGUN_MAX + 50)]


@given(st.integers(0, 4), st.sampled_from("\u00e9\u20ac\U0001f600"))
def test_a_long_line_is_broken_between_characters(shift: int, sign: str) -> None:
    text = "x" * shift + sign * 20_000
    for lines in (lines_of(text), lines_in(text.encode()), lines_in(said(THREAD, text))):
        assert "".join(lines) == text
        assert max(len(line.encode()) for line in lines) <= limits.LOG_LINE_BYTES_MAX


def test_what_is_no_text_is_kept_all_the_same() -> None:
    assert lines_of_block(b"\x80" * 40_000 + b"\n") == [
        "\ufffd" * limits.LOG_LINE_BYTES_MAX,
        "\ufffd" * limits.LOG_LINE_BYTES_MAX,
        "\ufffd" * (40_000 - 2 * limits.LOG_LINE_BYTES_MAX),
    ]


def test_a_spool_passes_on_at_once_until_too_much_comes_and_then_in_portions() -> None:
    spool = Spool()
    block = b"x" * 999 + b"\n"
    sent = 0
    while not spool.waits:
        spool.add(block, after_cancel=False)
        sent += len(list(spool.take(1000.0)))
    assert sent * 1000 > limits.LOG_BURST_BYTES * 0.9
    due = spool.due
    assert due == 1000.0 + limits.LOG_SPOOL_SECONDS
    assert list(spool.take(1000.0)) == []
    for _ in range(100):
        spool.add(block, after_cancel=True)
    portion = list(spool.take(due))
    assert 1 <= len(portion) <= limits.LOG_BYTES_PER_SECOND * limits.LOG_SPOOL_SECONDS / 900
    assert [passage.after_cancel for passage in portion][:2] == [False, True]
    assert len(list(spool.take_all())) == 101 - len(portion)
    assert spool.due is None
