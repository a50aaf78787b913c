import json
import math
import re
import time
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.lifecycle import Status
from rescind.model import CancelCode, CancelOutcome
from rescind.wire import envelope
from rescind.wire.negotiation import AnswerFormat
from rescind.wire.render import render, to_json, to_xml

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def xml(payload: dict[str, Any]) -> str:
    body, content_type = render(payload, AnswerFormat.XML)
    assert content_type == "application/xml;charset=UTF-8"
    text = body.decode()
    assert text.startswith(f"{DECLARATION}<ApiRestResult>")
    assert text.endswith("</ApiRestResult>")
    return text[len(DECLARATION) + len("<ApiRestResult>") : -len("</ApiRestResult>")]


def test_a_cancel_answers_in_xml() -> None:
    answer = envelope.cancel_answer(
        [
            CancelOutcome(code=CancelCode.ACCEPTED, job_id=1068044, status=Status.CANCELLING),
            CancelOutcome(code=CancelCode.UNKNOWN, job_id=1068337),
        ]
    )
    expected = """
  <responseStatus>SUCCESS</responseStatus>
  <data>
    <row>
      <responseStatus>SUCCESS</responseStatus>
      <data><id>1068044</id></data>
    </row>
    <row>
      <responseStatus>FAILURE</responseStatus>
      <errors>
        <error>
          <type>INVALID_DATA</type>
          <message>Job [1068337] is not found in QUEUED or QUEUEING state</message>
        </error>
      </errors>
    </row>
  </data>
"""
    assert xml(answer) == re.sub(r"\n *", "", expected)


def test_a_failure_answers_in_the_xml_that_clients_read() -> None:
    answer = envelope.failure("INVALID_SESSION_ID", "Invalid or expired session ID.")
    assert xml(answer) == (
        "<responseStatus>FAILURE</responseStatus><errors><error><type>INVALID_SESSION_ID</type>"
        "<message>Invalid or expired session ID.</message></error></errors>"
    )


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (
            {"jobs": [{"id": 1}, {"id": 2}]},
            "<jobs><job><id>1</id></job><job><id>2</id></job></jobs>",
        ),
        ({"vaultIds": [{"id": 1}]}, "<vaultIds><vaultId><id>1</id></vaultId></vaultIds>"),
        ({"histories": ["x"]}, "<histories><history>x</history></histories>"),
        (
            {"group_id__v": [1, 2]},
            "<group_id__v><group_id__v>1</group_id__v><group_id__v>2</group_id__v></group_id__v>",
        ),
        ({"data": [[1]]}, "<data><row><row>1</row></row></data>"),
        ({"s": [1]}, "<s><s>1</s></s>"),
        ({"tasks": []}, "<tasks></tasks>"),
        ({"data": {}}, "<data></data>"),
        ({"a": None, "b": [None, 1], "c": {"d": None}}, "<b><b>1</b></b><c></c>"),
        ({"a": True, "b": False}, "<a>true</a><b>false</b>"),
        ({"a": -1.5, "b": math.nan, "c": math.inf}, "<a>-1.5</a>"),
        ({"a": ""}, "<a></a>"),
        ({"a": "<&>\"'"}, "<a>&lt;&amp;&gt;\"'</a>"),
        ({"a": Status.QUEUED}, "<a>QUEUED</a>"),
        ({"a": "x\0\x0b\ud800\uffff\ue000😀"}, "<a>x\ufffd\ufffd\ufffd\ufffd\ue000😀</a>"),
        ({"values": {"v26.1": "u"}}, "<values><v26.1>u</v26.1></values>"),
    ],
)  # fmt: skip -- one answer a line
def test_the_rule_of_xml(payload: dict[str, Any], expected: str) -> None:
    assert xml(payload) == expected


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("1a", "_x0031_a"),
        ("a b", "a_x0020_b"),
        ("a:b", "a_x003A_b"),
        ("-a", "_x002D_a"),
        ("é", "_x00E9_"),
        ("😀", "_x0001F600_"),
        ("_x0031_a", "_x005F_x0031_a"),
        ("a_x", "a_x"),
        ("_xyz", "_xyz"),
        ("", "_"),
        ("a\n", "a_x000A_"),
        ("><", "_x003E__x003C_"),
    ],
)
def test_a_key_that_is_no_name_is_escaped(key: str, tag: str) -> None:
    assert xml({key: 1}) == f"<{tag}>1</{tag}>"


def test_a_carriage_return_survives_the_reader() -> None:
    root = ET.fromstring(to_xml({"a": "x\r\ny\rz\t"}))
    assert root.findtext("a") == "x\r\ny\rz\t"


def test_json_is_compact_and_escapes_no_more_than_it_must() -> None:
    assert to_json({"a": "ü/<😀>\u2028", "b": [1, None, True]}) == (
        '{"a":"ü/<😀>\u2028","b":[1,null,true]}'.encode()
    )


def test_json_of_what_utf8_cannot_carry_is_still_json() -> None:
    body = to_json({"a": ["x\ud800y", {"\udfff": 1}], "b": math.nan})
    assert json.loads(body) == {"a": ["x\ufffdy", {"\ufffd": 1}], "b": None}


def test_five_hundred_items_take_a_few_milliseconds() -> None:
    answer = envelope.cancel_answer(
        [CancelOutcome(code=CancelCode.UNKNOWN, job_id=id_) for id_ in range(1, 501)]
    )
    started = time.process_time()
    to_xml(answer)
    assert time.process_time() - started < 0.2


texts = st.text(st.characters(), max_size=12)
payloads = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=15,
    ),
    max_size=5,
)


def unescaped(tag: str) -> str:
    return re.sub(r"_x([0-9A-F]{8}|[0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), tag)


def carried(text: str) -> str:
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def same(element: ET.Element, value: Any) -> None:
    """Assert that ``element`` carries ``value``, by the rule read the other way round."""
    children = list(element)
    if unescaped(element.tag) == "errors" and isinstance(value, dict):
        (child,) = children
        assert child.tag == "error"
        children = list(child)
    match value:
        case dict():
            kept = [(key, member) for key, member in value.items() if not left_out(member)]
            assert [unescaped(child.tag) for child in children] == [key or "_" for key, _ in kept]
            for child, (_, member) in zip(children, kept, strict=True):
                same(child, member)
        case list():
            members = [member for member in value if not left_out(member)]
            assert len({child.tag for child in children}) <= 1
            for child, member in zip(children, members, strict=True):
                same(child, member)
        case bool():
            assert element.text == str(value).lower()
        case str():
            assert (element.text or "") == carried(value)
        case _:
            assert element.text is not None
            assert type(value)(element.text) == value


def left_out(value: Any) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


@settings(max_examples=200, deadline=None)
@given(payloads)
def test_xml_always_parses_and_carries_the_same_values(payload: dict[str, Any]) -> None:
    same(ET.fromstring(to_xml(payload)), payload)


@settings(max_examples=100, deadline=None)
@given(payloads)
def test_json_always_parses(payload: dict[str, Any]) -> None:
    assert isinstance(json.loads(to_json(payload)), dict)
