from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.wire.dates import format_instant, parse_instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        (
            "2026-11-23T14:38:17.774035230Z[Etc/UTC]",
            datetime(2026, 11, 23, 14, 38, 17, 774035, UTC),
        ),
        ("2016-01-15T07:00Z", datetime(2016, 1, 15, 7, 0, tzinfo=UTC)),
        ("2016-01-15T07:00:09Z", datetime(2016, 1, 15, 7, 0, 9, tzinfo=UTC)),
        ("2016-01-15T07:00:09.5Z", datetime(2016, 1, 15, 7, 0, 9, 500_000, UTC)),
        ("2016-01-15T07:00:00.999999999Z", datetime(2016, 1, 15, 7, 0, 0, 999_999, UTC)),
        ("2016-01-15T07:00:00+01:00", datetime(2016, 1, 15, 6, 0, tzinfo=UTC)),
        ("2016-01-15T07:00-05:30[America/New_York]", datetime(2016, 1, 15, 12, 30, tzinfo=UTC)),
    ],
)
def test_what_clients_send_is_an_instant_in_utc(text: str, instant: datetime) -> None:
    parsed = parse_instant(text)
    assert parsed == instant
    assert parsed.tzinfo is UTC


@pytest.mark.parametrize(
    "text", ["2016-01-15T07:00", "2016-01-15T07:00:00", "2016-01-15T07:00[UTC]"]
)
def test_an_instant_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must say its zone: Z or an offset"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2016-01-15",
        "2016-01-15 07:00Z",
        "2016-1-15T07:00Z",
        "2016-01-15T07:00z",
        "2016-01-15T07:00:00.Z",
        "2016-01-15T07:00:00.0000000000Z",
        "2016-01-15T07:00:00,5Z",
        "2016-01-15T07Z",
        "2016-01-15T07:00+0100",
        " 2016-01-15T07:00Z",
        "2016-01-15T07:00Z\n",
        "20160115T070000Z",
        "\u0662016-01-15T07:00Z",
        "2016-01-15T07:00.5Z",
        "2016-W01-1T07:00Z",
        "2016-01-15T07:00+01:60",
    ],
)  # fmt: skip -- one value after another
def test_other_ways_to_write_one_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="must be an instant such as 2026-01-31T07:00:00Z"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00Z",
        "2026-13-01T00:00Z",
        "2026-00-01T00:00Z",
        "2026-01-01T24:00Z",
        "2026-01-01T00:00:60Z",
        "0000-01-01T00:00Z",
        "0001-01-01T00:00+01:00",
        "9999-12-31T23:59-01:00",
        "2026-01-01T00:00+24:00",
        "2026-01-01T00:00+99:59",
    ],
)  # fmt: skip -- one value after another
def test_an_instant_that_does_not_exist_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^\[.*\] is no instant: "):
        parse_instant(text)


def test_the_sentence_quotes_what_was_sent_but_not_all_of_it() -> None:
    with pytest.raises(ValueError, match=r"^\[x{60}…\] must be"):
        parse_instant("x" * 100_000)


def test_an_instant_is_written_as_vault_writes_it() -> None:
    assert (
        format_instant(datetime(2016, 4, 20, 18, 14, 42, tzinfo=UTC)) == "2016-04-20T18:14:42.000Z"
    )
    east = timezone(timedelta(hours=2))
    assert (
        format_instant(datetime(2016, 4, 20, 20, 14, 42, 999_999, east))
        == "2016-04-20T18:14:42.999Z"
    )
    assert format_instant(datetime(1, 1, 1, tzinfo=UTC)) == "0001-01-01T00:00:00.000Z"


@settings(max_examples=100, deadline=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_back_to_the_millisecond(instant: datetime) -> None:
    cut = instant.replace(microsecond=instant.microsecond // 1000 * 1000)
    assert parse_instant(format_instant(instant)) == cut


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=40)
    | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2}")
)
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    try:
        assert parse_instant(text).tzinfo is UTC
    except ValueError as error:
        said = str(error)
    else:
        said = "["
    assert said.startswith("[")
