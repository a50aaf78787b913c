import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.errors import RequestRefused
from rescind.model import BadItem
from rescind.wire.submit import SubmitItem, parse_submit

JSON = "application/json"
CSV = "text/csv"
COLUMNS = ["job_metadata", "title", "parameters", "run_date", "priority", "unique_key"]


def one(item: Mapping[str, Any]) -> SubmitItem | BadItem:
    (only,) = parse_submit(json.dumps([item]).encode(), JSON)
    return only


def message(**fields: Any) -> str:
    item = one({"job_metadata": "a__c", **fields})
    assert isinstance(item, BadItem), item
    return item.message


def csv_body(*rows: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([COLUMNS, *rows])
    return out.getvalue().encode()


def test_a_whole_item_is_read() -> None:
    sent = {
        "job_metadata": "nightly_export__c",
        "title": "Nightly",
        "parameters": {"of": [1, 2.5, "ü", None, True]},
        "run_date": "2026-11-23T14:38:17.774035230Z[Etc/UTC]",
        "priority": 1,
        "unique_key": "nightly 1",
    }
    expected = SubmitItem(
        job_metadata="nightly_export__c",
        title="Nightly",
        parameters={"of": [1, 2.5, "ü", None, True]},
        run_date=datetime(2026, 11, 23, 14, 38, 17, 774035, UTC),
        priority=1,
        unique_key="nightly 1",
    )
    assert one(sent) == expected
    row = [str(sent[name]) for name in COLUMNS]
    row[2] = json.dumps(sent["parameters"])
    assert parse_submit(csv_body(row), "text/csv; charset=utf-8") == [expected]


def test_all_but_the_job_metadata_may_be_left_out_or_null_or_an_empty_cell() -> None:
    expected = SubmitItem(job_metadata="a__c")
    assert expected.priority == 50
    assert one({"job_metadata": "a__c"}) == expected
    assert one(dict.fromkeys(COLUMNS[1:]) | {"job_metadata": "a__c"}) == expected
    assert parse_submit(b"job_metadata\na__c\n", CSV) == [expected]
    assert parse_submit(csv_body(["a__c", "", "", "", ""]), CSV) == [expected]


def test_csv_words_are_stripped_and_titles_kept_as_sent() -> None:
    (item,) = parse_submit(
        csv_body([" a__c\t", " a, b ", " {} ", " 2016-01-15T07:00Z", " 7 "]), CSV
    )
    assert isinstance(item, SubmitItem)
    assert (item.job_metadata, item.title, item.priority) == ("a__c", " a, b ", 7)


def test_csv_has_no_backslash_escapes() -> None:
    (item,) = parse_submit(csv_body(["a__c", "C:\\new", '{"a": "b\\n\\\\"}', "", ""]), CSV)
    assert isinstance(item, SubmitItem)
    assert item.title == "C:\\new"
    assert item.parameters == {"a": "b\n\\"}


@pytest.mark.parametrize("sent", [None, "", 5, [], {}, True, 1.5])
def test_the_job_metadata_must_be_a_name(sent: object) -> None:
    assert message(job_metadata=sent) == (
        "Item 1: job_metadata is missing"
        if sent is None
        else f"Item 1: job_metadata [{json.dumps(sent)}] must be the name of a job metadata"
    )


def test_a_missing_job_metadata_says_so() -> None:
    assert one({"title": "x"}) == BadItem("Item 1: job_metadata is missing")
    (item,) = parse_submit(csv_body(["  ", "x", "", "", ""]), CSV)
    assert item == BadItem("Item 1: job_metadata is missing")


def test_a_bad_item_is_refused_and_the_others_go_on() -> None:
    body = (
        b'[{"job_metadata":"a__c"}, 7, {"job_metadata":"b__c","priority":0},'
        b' {"job_metadata":"c__c"}]'
    )
    first, second, third, fourth = parse_submit(body, JSON)
    assert (first, fourth) == (SubmitItem(job_metadata="a__c"), SubmitItem(job_metadata="c__c"))
    assert second == BadItem("Item 2 [7] must be an object")
    assert third == BadItem("Item 3: priority [0] must be a whole number from 1 to 100")


@pytest.mark.parametrize("sent", [0, 101, -1, 1.0, 50.5, "50", True, [], 10**30])
def test_a_priority_is_a_whole_number_from_1_to_100(sent: object) -> None:
    assert message(priority=sent).endswith("must be a whole number from 1 to 100")


@pytest.mark.parametrize("sent", ["0", "101", "1.0", "x", "-1", "+1", "050", "\u0661"])
def test_a_csv_priority_is_digits(sent: str) -> None:
    (item,) = parse_submit(csv_body(["a__c", "", "", "", sent]), CSV)
    assert item == BadItem(f"Item 1: priority [{sent}] must be a whole number from 1 to 100")


def test_a_priority_of_ten_thousand_digits_is_a_bad_item() -> None:
    (item,) = parse_submit(csv_body(["a__c", "", "", "", "9" * 10_000]), CSV)
    assert isinstance(item, BadItem)
    assert item.message.endswith("…] must be a whole number from 1 to 100")


def test_priorities_1_and_100_are_read() -> None:
    for priority in (1, 100):
        item = one({"job_metadata": "a__c", "priority": priority})
        assert isinstance(item, SubmitItem)
        assert item.priority == priority


@pytest.mark.parametrize("sent", ["", "x" * 1_501, 5, {}])
def test_a_title_is_a_text_of_1_to_1500_characters(sent: object) -> None:
    assert message(title=sent).endswith("must be a text of 1 to 1500 characters")
    assert isinstance(one({"job_metadata": "a__c", "title": "😀" * 1_500}), SubmitItem)


@pytest.mark.parametrize("sent", [[], "{}", 5, True])
def test_parameters_are_an_object(sent: object) -> None:
    assert message(parameters=sent) == (
        f"Item 1: parameters [{json.dumps(sent)}] must be a JSON object"
    )


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ("[]", "must be a JSON object"),
        ("{", "must be a JSON object: input data was truncated"),
        ("{'a': 1}", "must be a JSON object: object keys must be strings (byte 1)"),
        ('{"a": NaN}', "must be a JSON object: invalid character (byte 6)"),
        ("[" * 33, "must not be nested more than 32 deep"),
    ],
)
def test_csv_parameters_that_are_no_json_object_are_a_bad_item(sent: str, why: str) -> None:
    first, second = parse_submit(csv_body(["a__c", "", sent, "", ""], ["b__c"]), CSV)
    assert first == BadItem(f"Item 1: parameters [{sent}] {why}")
    assert second == SubmitItem(job_metadata="b__c")


def test_parameters_nested_without_end_are_a_bad_item_in_csv() -> None:
    (item,) = parse_submit(csv_body(["a__c", "", '{"a":' * 10_000, "", ""]), CSV)
    assert isinstance(item, BadItem)


def test_parameters_take_at_most_8192_bytes_of_json_as_sent_and_as_kept() -> None:
    fits = b'{"a":"' + b"x" * 8_184 + b'"}'
    assert len(fits) == 8_192
    (item,) = parse_submit(b'[{"job_metadata":"a__c","parameters":' + fits + b"}]", JSON)
    assert isinstance(item, SubmitItem)
    (item,) = parse_submit(b'[{"job_metadata":"a__c","parameters": {' + b" " * 8_191 + b"}}]", JSON)
    assert isinstance(item, BadItem)
    assert item.message.endswith("must be at most 8192 bytes of JSON, but take 8193")
    grows = b'{"a":[' + b"1e15," * 1_000 + b"1e15]}"
    (item,) = parse_submit(b'[{"job_metadata":"a__c","parameters":' + grows + b"}]", JSON)
    assert isinstance(item, BadItem)
    assert item.message.endswith(", but take 19026")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "9" * 5_000])
def test_numbers_that_nobody_can_hold_are_a_bad_item(number: str) -> None:
    body = f'[{{"job_metadata":"a__c","parameters":{{"a":[{number}]}}}}]'.encode()
    (item,) = parse_submit(body, JSON)
    assert isinstance(item, BadItem)
    assert item.message.endswith("must not hold numbers that are out of range")


def test_large_whole_numbers_keep_all_their_digits() -> None:
    item = one({"job_metadata": "a__c", "parameters": {"a": 10**100, "b": 2**64}})
    assert isinstance(item, SubmitItem)
    assert item.parameters == {"a": 10**100, "b": 2**64}


UNSTORABLE = r"must not hold U+0000 or a lone surrogate (both shown as \u0000)"


@pytest.mark.parametrize("character", ["\0", chr(0xD800), chr(0xDFFF), chr(0xDC00) + chr(0xD800)])
@pytest.mark.parametrize(
    ("field", "wrap"),
    [
        ("job_metadata", lambda text: text),
        ("title", lambda text: text),
        ("parameters", lambda text: {text: 1}),
        ("parameters", lambda text: {"a": [[], {"b": text}]}),
        ("parameters", lambda text: {"a": {text: {}}}),
    ],
)
def test_text_that_no_store_can_keep_is_a_bad_item(field: str, wrap: Any, character: str) -> None:
    said = message(**{field: wrap(f"x{character}y")})
    assert said.startswith(f"Item 1: {field} [")
    assert said.endswith(UNSTORABLE)


def test_a_lone_surrogate_in_a_csv_cell_of_json_is_a_bad_item() -> None:
    (item,) = parse_submit(csv_body(["a__c", "", r'{"a":"\ud83d"}', "", ""]), CSV)
    assert isinstance(item, BadItem)
    assert item.message.endswith(UNSTORABLE)


def test_whole_surrogate_pairs_and_escaped_backslashes_are_text() -> None:
    item = one({"job_metadata": "a__c", "title": "😀\\ud800", "parameters": {"😀": "\\u0000"}})
    assert isinstance(item, SubmitItem)
    assert item.title == "😀\\ud800"
    assert item.parameters == {"😀": "\\u0000"}


def test_a_run_date_must_be_an_instant() -> None:
    assert message(run_date="tomorrow") == (
        "Item 1: run_date [tomorrow] must be an instant such as 2026-01-31T07:00:00Z"
    )
    assert message(run_date=1_700_000_000) == (
        "Item 1: run_date [1700000000] must be an instant, written as a text"
    )


def test_no_items_and_too_many_items_are_refused_as_a_whole() -> None:
    with pytest.raises(RequestRefused, match=r"Missing required parameter \[job_metadata\]"):
        parse_submit(b"[]", JSON)
    with pytest.raises(RequestRefused, match="at most 500 jobs; this one names 501"):
        parse_submit(b"job_metadata\n" + b"a__c\n" * 501, CSV)


def test_a_known_csv_column_must_not_stand_twice() -> None:
    with pytest.raises(RequestRefused, match="has the column title more than once"):
        parse_submit(b"job_metadata,title,title\na__c,b,c\n", CSV)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)  # fmt: skip -- as a grammar


@settings(max_examples=100, deadline=None)
@given(parameters=st.dictionaries(st.sampled_from("abc"), json_values, max_size=3))
def test_parameters_come_back_from_json_and_csv(parameters: dict[str, Any]) -> None:
    expected = [SubmitItem(job_metadata="a__c", parameters=parameters)]
    sent = json.dumps([{"job_metadata": "a__c", "parameters": parameters}]).encode()
    assert parse_submit(sent, JSON) == expected
    row = ["a__c", "", json.dumps(parameters, ensure_ascii=False), "", ""]
    assert parse_submit(csv_body(row), CSV) == expected


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(), max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)  # fmt: skip -- as a grammar


@settings(max_examples=150, deadline=None)
@given(
    body=st.binary(max_size=100)
    | st.lists(st.dictionaries(st.sampled_from(COLUMNS), anything, max_size=5), max_size=3).map(
        lambda items: json.dumps(items).encode()
    )
    | st.lists(st.lists(st.text(max_size=10), max_size=6), max_size=3).map(
        lambda rows: csv_body(*rows)
    ),
    content_type=st.sampled_from([JSON, CSV]),
)
def test_no_body_raises_anything_but_a_refusal(body: bytes, content_type: str) -> None:
    try:
        items = parse_submit(body, content_type)
    except RequestRefused:
        return
    for position, item in enumerate(items, start=1):
        if isinstance(item, BadItem):
            assert item.message.startswith(f"Item {position}")
