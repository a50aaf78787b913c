import csv
import io
import json
import re
import time
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind import limits
from rescind.errors import RequestRefused
from rescind.model import BadItem
from rescind.wire.cancel import parse_cancel

JSON = "application/json"
CSV = "text/csv"
ID_MAX = 2**63 - 1
FULLWIDTH_12 = "\uff11\uff12"

job_ids = st.integers(min_value=1, max_value=ID_MAX)
quick = settings(max_examples=100, deadline=None)


def refusal(body: bytes, content_type: str | None = JSON) -> RequestRefused:
    with pytest.raises(RequestRefused) as caught:
        parse_cancel(body, content_type)
    return caught.value


def only_message(body: bytes, content_type: str = JSON) -> str:
    (item,) = parse_cancel(body, content_type)
    assert isinstance(item, BadItem)
    return item.message


def test_the_published_request_names_its_two_jobs() -> None:
    body = b"""[
   {
       "job_id": 1046892
   },
   {
       "job_id": 1043341
   }
]"""
    assert parse_cancel(body, "application/json") == [1046892, 1043341]
    assert parse_cancel(body, None) == [1046892, 1043341]


def test_the_csv_that_clients_send_names_its_two_jobs() -> None:
    assert parse_cancel(b"job_id\n1046892\n1043341\n", "text/csv; charset=utf-8") == [
        1046892,
        1043341,
    ]


@quick
@given(st.lists(job_ids, min_size=1, max_size=30))
def test_ids_come_back_in_order_from_json_and_csv(ids: Sequence[int]) -> None:
    as_json = json.dumps([{"job_id": id_} for id_ in ids]).encode()
    assert parse_cancel(as_json, JSON) == ids

    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)  # as Vault writes CSV
    writer.writerows([["note", "job_id"], *(["a, b\n", id_] for id_ in ids)])
    assert parse_cancel(out.getvalue().encode(), CSV) == ids


@pytest.mark.parametrize(
    ("sent", "id_"),
    [("1", 1), ('"12"', 12), (str(ID_MAX), ID_MAX), (f'"{ID_MAX}"', ID_MAX)],
)
def test_a_whole_number_or_a_string_of_its_digits_is_an_id(sent: str, id_: int) -> None:
    assert parse_cancel(f'[{{"job_id": {sent}}}]'.encode(), JSON) == [id_]


BAD_JSON_IDS = [
    "0",
    "-1",
    "-0",
    str(2**63),
    "1.5",
    "1.0",
    "1e3",
    "true",
    "false",
    "null",
    f'"{FULLWIDTH_12}"',
    '" 12"',
    '"12 "',
    '"012"',
    '"+1"',
    '""',
    '"1_000"',
    '"0x1"',
    "[1]",
    '{"id":1}',
    '"abc"',
    f'"{2**63}"',
]  # fmt: skip -- one value after another


@pytest.mark.parametrize("sent", BAD_JSON_IDS)
def test_anything_else_is_a_bad_item_that_names_position_and_value(sent: str) -> None:
    body = f'[{{"job_id": 7}}, {{"job_id": {sent}}}, {{"job_id": 8}}]'.encode()
    first, second, third = parse_cancel(body, JSON)
    assert (first, third) == (7, 8)
    must_be = f"must be a whole number from 1 to {ID_MAX}"
    assert second == BadItem(f"Item 2: job_id [{sent}] {must_be}")


@pytest.mark.parametrize(
    "sent",
    ["0", "-1", str(2**63), "1.5", "1.0", "1e3", "true", "null", FULLWIDTH_12, "1 2", "", "abc"],
)
def test_a_bad_csv_cell_is_a_bad_item(sent: str) -> None:
    first, second, third = parse_cancel(f'job_id\n7\n"{sent}"\n8\n'.encode(), CSV)
    assert (first, third) == (7, 8)
    assert second == BadItem(
        f"Item 2: job_id [{sent}] must be a whole number from 1 to 9223372036854775807"
    )


def test_csv_cells_and_header_are_stripped_of_spaces_and_tabs() -> None:
    assert parse_cancel(b' \tjob_id ,x\n  12\t,\n"\t13 ",\n', CSV) == [12, 13]


def test_a_missing_key_says_so() -> None:
    assert only_message(b"[{}]") == "Item 1: job_id is missing"
    assert only_message(b'[{"id": 5, "Job_id": 6}]') == "Item 1: job_id is missing"


def test_an_item_that_is_no_object_is_a_bad_item() -> None:
    items = parse_cancel(b'[1, "2", null, [], {"job_id": 3}]', JSON)
    assert items == [
        BadItem("Item 1 [1] must be an object"),
        BadItem('Item 2 ["2"] must be an object'),
        BadItem("Item 3 [null] must be an object"),
        BadItem("Item 4 [[]] must be an object"),
        3,
    ]


def test_a_long_value_is_shown_shortened() -> None:
    digits = "9" * 10_000
    shown = "9" * limits.ITEM_VALUE_CHARACTERS_SHOWN + "…"
    assert f"job_id [{shown}] must" in only_message(f'[{{"job_id":{digits}}}]'.encode())
    assert f"job_id [{shown}] must" in only_message(f"job_id\n{digits}\n".encode(), CSV)
    emoji = only_message(f'[{{"job_id":"{"😀" * 500}"}}]'.encode())
    assert len(emoji) < 200


def test_unknown_keys_and_columns_are_ignored() -> None:
    assert parse_cancel(b'[{"x": [{"job_id": 9}], "job_id": 5, "y": 1e999}]', JSON) == [5]
    assert parse_cancel(b'x,job_id,x,\nq,5,"a\nb",\n', CSV) == [5]


def test_of_a_duplicate_key_the_last_counts() -> None:
    assert parse_cancel(b'[{"job_id": 1, "job_id": 2}]', JSON) == [2]
    assert "[null]" in only_message(b'[{"job_id": 1, "job_id": null}]')


def test_a_header_with_job_id_twice_is_refused_because_nobody_can_tell_which_is_meant() -> None:
    error = refusal(b"job_id, job_id\n1,2\n", CSV)
    assert error.error_type == "INVALID_DATA"
    assert error.message == "The CSV header has the column job_id more than once"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", JSON),
        (b" \r\n\t", JSON),
        (b"[]", JSON),
        (b"\xef\xbb\xbf", JSON),
        (b"[ ]", None),
        (b"", CSV),
        (b"\n\r\n \n", CSV),
        (b"\xef\xbb\xbf", CSV),
        (b"job_id", CSV),
        (b"job_id\r\n", CSV),
        (b"job_id\n\n  \n\t\n", CSV),
    ],
)  # fmt: skip -- one value after another
def test_no_items_means_that_job_id_is_required(body: bytes, content_type: str | None) -> None:
    error = refusal(body, content_type)
    assert (error.error_type, error.message) == (
        "PARAMETER_REQUIRED",
        "Missing required parameter [job_id]",
    )


@pytest.mark.parametrize("count", [501, 5_000])
def test_too_many_items_are_refused_as_a_whole_naming_limit_and_count(count: int) -> None:
    expected = "A request may name at most 500 jobs; this one names 501 or more"
    as_json = b"[" + b",".join([b'{"a,b": [1,2], "job_id": 1}'] * count) + b"]"
    as_csv = b"job_id\n" + b"\n1\n" * count
    for body, content_type in ((as_json, JSON), (as_csv, CSV)):
        error = refusal(body, content_type)
        assert (error.error_type, error.message) == ("INVALID_DATA", expected)


def test_too_many_bad_items_are_counted_before_they_are_judged() -> None:
    assert "names 501" in refusal(b"[" + b",".join([b"null"] * 501) + b"]").message


def test_five_hundred_items_are_read() -> None:
    as_json = b"[" + b",".join([b'{"job_id": 1}'] * 500) + b"]"
    assert parse_cancel(as_json, JSON) == [1] * 500
    assert parse_cancel(b"job_id\n" + b"1\n" * 500, CSV) == [1] * 500


def test_a_byte_order_mark_is_accepted() -> None:
    assert parse_cancel(b'\xef\xbb\xbf[{"job_id": 1}]', JSON) == [1]
    assert parse_cancel(b"\xef\xbb\xbfjob_id\n1\n", CSV) == [1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'[{"job_id": 1},]', "line 1, column 16 (byte 15): trailing comma in array"),
        (b"[\n {\n  x}]", "line 3, column 3 (byte 7): expected '\"'"),
        (b'[{"job_id": NaN}]', "line 1, column 13 (byte 12): invalid character"),
        (b'[{"job_id": -Infinity}]', "line 1, column 14 (byte 13): invalid character"),
        (b'[{"job_id": 01}]', "line 1, column 14 (byte 13): invalid number"),
        (b"[1]\n x", "line 2, column 2 (byte 5): trailing characters"),
        (b"[1]]", "line 1, column 4 (byte 3): trailing characters"),
        (b"\xef\xbb\xbf[\n}", "line 2, column 1 (byte 5): invalid character"),
        ('["ü" 1]'.encode(), "line 1, column 6 (byte 6): expected ',' or ']'"),
        (b'[{"job_id": 1}', "line 1, column 15 (byte 14): it ends too early"),
        (b'["abc', "line 1, column 6 (byte 5): it ends too early"),
        (b"job_id\n1\n", "line 1, column 1 (byte 0): invalid character"),
    ],
)
def test_malformed_json_says_where(body: bytes, message: str) -> None:
    error = refusal(body)
    assert error.error_type == "INVALID_DATA"
    assert error.message == f"Malformed JSON at {message}"


def test_a_raw_nul_is_malformed_json() -> None:
    assert refusal(b"[\0]").message.startswith("Malformed JSON at line 1, column 2 (byte 1)")


@pytest.mark.parametrize("body", [b'{"job_id": 1}', b"5", b"null", b'"[1]"', b"true"])
def test_json_other_than_an_array_is_refused(body: bytes) -> None:
    error = refusal(body)
    assert error.error_type == "INVALID_DATA"
    assert error.message.startswith("The body must be a JSON array of objects, not of type [")


def test_a_single_object_is_told_from_an_array_even_with_many_members() -> None:
    body = json.dumps({str(i): i for i in range(1_000)}).encode()
    assert refusal(body).message.endswith("not of type [object]")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'[{"a":' * 50_000,
        b'[{"job_id":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
        b"[" * 33 + b"]" * 33,
    ],
)
def test_deep_nesting_is_refused_quickly(body: bytes) -> None:
    started = time.process_time()
    error = refusal(body)
    assert time.process_time() - started < 1
    assert (error.error_type, error.message) == (
        "INVALID_DATA",
        "Malformed JSON: nested more than 32 deep",
    )


def test_nesting_32_deep_is_read_and_brackets_in_strings_are_not_nesting() -> None:
    deepest = b'[{"x":' + b"[" * 30 + b"]" * 30 + b', "y": "' + b"[" * 99 + b'\\"{", "job_id": 1}]'
    assert parse_cancel(deepest, JSON) == [1]


@pytest.mark.parametrize(
    ("body", "content_type", "byte"),
    [(b'[{"job_id": "\xff"}]', JSON, 13), (b"\xef\xbb\xbfjob_id\n\xc3\n", CSV, 10)],
)
def test_invalid_utf8_is_refused_naming_the_byte(body: bytes, content_type: str, byte: int) -> None:
    error = refusal(body, content_type)
    assert error.error_type == "INVALID_DATA"
    assert error.message.startswith("The body is not UTF-8: invalid byte 0x")
    assert error.message.endswith(f"at byte {byte}")


def test_half_a_surrogate_pair_spoils_no_other_item() -> None:
    body = rb'[{"job_id": "\ud800"}, {"\udfff": "\uD800", "job_id": 2}, {"job_id": "\\ud800"}]'
    first, second, third = parse_cancel(body, JSON)
    assert isinstance(first, BadItem)
    assert second == 2
    assert third == BadItem(
        r'Item 3: job_id ["\\ud800"] must be a whole number from 1 to 9223372036854775807'
    )


def test_lines_may_end_in_crlf_or_lf_or_not_at_all() -> None:
    assert parse_cancel(b"job_id\r\n1\r\n2\n\r\n\n3", CSV) == [1, 2, 3]


def test_an_empty_value_in_quotes_is_an_item_not_a_blank_line() -> None:
    first, second = parse_cancel(b'job_id\n""\n5\n', CSV)
    assert isinstance(first, BadItem)
    assert second == 5


def test_a_row_too_short_for_job_id_is_a_bad_item() -> None:
    assert parse_cancel(b"x,job_id\na\nb,2\n", CSV) == [BadItem("Item 1: job_id is missing"), 2]


def test_a_row_with_more_values_than_columns_is_a_bad_item() -> None:
    assert parse_cancel(b"job_id\n1,2\n3, \n", CSV) == [
        BadItem("Item 1 has 2 values, but the header names 1"),
        3,
    ]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"job_id\n1\r2\n", "line 2: a carriage return without a line feed"),
        (b'job_id\n1\n"2\r3"\n', "line 3: a carriage return without a line feed"),
        (b"job_id\r1\r", "line 1: a carriage return without a line feed"),
        (b"job_id\n1\n2\0\n", "line 3: U+0000"),
        (b'job_id\n"1', "line 2: unexpected end of data"),
        (b'job_id\n"1"2\n', "line 2: ',' expected after '\"'"),
        (b'"', "line 1: unexpected end of data"),
        (b'job_id\n1\n"2\n3\n', "line 4: unexpected end of data"),
        (b"job_id\n" + b"9" * 65_537, "line 2: a value longer than 65536 characters"),
        (b"job_id\n" + b"9" * 10_000_000, "line 2: a row longer than 131072 characters"),
        (b"job_id\n" + b"9," * 65_537, "line 2: a row longer than 131072 characters"),
        (b'job_id\n"9\n' + (b"x" * 99 + b"\n") * 1_400, "line 1313: a row longer than"),
        (b"job_id\n" * 2 + b"\n" * 8_000_000, "line 50001: more than 50000 lines"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_malformed_csv_says_its_line(body: bytes, message: str) -> None:
    error = refusal(body, CSV)
    assert error.error_type == "INVALID_DATA"
    assert error.message.startswith(f"Malformed CSV at {message}")


def test_a_quote_within_a_value_is_only_a_bad_item() -> None:
    assert '[1"2]' in only_message(b'job_id\n1"2\n', CSV)


def test_a_csv_header_without_job_id_is_refused() -> None:
    for body in (b"id\n1\n", b"1046892\n1043341\n", b"JOB_ID\n1\n", b'""\n1\n'):
        error = refusal(body, CSV)
        assert error.error_type == "INVALID_DATA"
        assert error.message == "The CSV header has no column job_id"


@pytest.mark.parametrize(
    "body",
    [b'[{"job_id": "' + b"9" * 10_000_000 + b'"}]', b'[{"job_id": ' + b"9" * 10_000_000 + b"}]"],
    ids=["text", "number"],
)
def test_a_line_of_ten_megabytes_is_a_bad_item(body: bytes) -> None:
    message = only_message(body)
    assert re.fullmatch(r"Item 1 \[.{60}…\] may have at most 131072 bytes, but has \d+", message)


def test_what_is_too_much_is_not_read_to_its_end() -> None:
    """As little work for eight megabytes as for the first of them that are too many."""
    deep, many = b"[" * 8_000_000, b"[" + b"{}," * 2_000_000
    rows = b"job_id\n" + b"1\n" * 4_000_000
    for body, content_type in ((deep, JSON), (many, JSON), (rows, CSV)):
        tracemalloc.start()
        refusal(body, content_type)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2 * len(body)


def test_a_string_may_be_longer_than_what_is_looked_through_at_once() -> None:
    for text in (b"x" * 70_000, b'\\"' * 35_000, b"[" * 65_535 + b'\\"]', b"\\\\" * 32_768):
        assert parse_cancel(b'[{"x": "' + text + b'", "job_id": 1}, {"job_id": 2}]', JSON) == [1, 2]


def test_a_string_that_never_closes_takes_linear_time() -> None:
    started = time.process_time()
    assert "ends too early" in refusal(b'["' + b'\\"' * 500_000).message
    assert time.process_time() - started < 2


def test_an_unsupported_content_type_is_refused_before_the_body_is_read() -> None:
    assert "Content-Type [text/plain]" in refusal(b"\xff", "text/plain").message


tokens = st.sampled_from(
    [
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b'"',
        b'"job_id"',
        b"job_id",
        b"1",
        b"-",
        b"\\",
        b"\n",
        b"\\ud800",
        b"\r\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"null",
        b"1e9",
        b" ",
        b"NaN",
    ]
)  # fmt: skip -- one value after another
hostile = st.one_of(
    st.binary(max_size=200),
    st.lists(tokens, max_size=40).map(b"".join),
    st.lists(tokens, max_size=40).map(lambda parts: b'[{"job_id":' + b"".join(parts) + b"}]"),
    st.lists(tokens, max_size=40).map(lambda parts: b"job_id\n" + b"".join(parts)),
)


@settings(max_examples=300, deadline=None)
@given(body=hostile, content_type=st.sampled_from([JSON, CSV]))
def test_no_body_raises_anything_but_a_refusal(body: bytes, content_type: str) -> None:
    try:
        items = parse_cancel(body, content_type)
    except RequestRefused as refused:
        error_type = refused.error_type
    else:
        error_type = "none"
        assert all(isinstance(item, BadItem) or 1 <= item <= ID_MAX for item in items)
    assert error_type in {"none", "INVALID_DATA", "PARAMETER_REQUIRED"}


def accepted_by_the_standard_library(body: bytes) -> bool:
    def refuse(constant: str) -> object:
        raise ValueError(constant)

    try:
        items = json.loads(body.decode().removeprefix("\ufeff"), parse_constant=refuse)
    except ValueError:
        return False
    return isinstance(items, list) and len(items) > 0


json_arrays = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=10,
).map(lambda value: json.dumps([value]).encode())


@settings(max_examples=300, deadline=None)
@given(body=hostile | json_arrays)
def test_json_is_accepted_exactly_when_the_standard_library_accepts_it(body: bytes) -> None:
    try:
        parse_cancel(body, JSON)
        accepted = True
    except RequestRefused:
        accepted = False
    assert accepted == accepted_by_the_standard_library(body)
