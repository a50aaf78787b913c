import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.errors import RequestRefused
from rescind.wire.negotiation import AnswerFormat, Format, accept_format, content_format


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "  ",
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json;charset=UTF-8",
        'application/json ; Charset="utf-8" ; x=1',
        "application/json; charset=us-ascii",
        'application/json; x="; charset=latin-1"',
        "application/json;",
        "application/json; charset",
    ],
)  # fmt: skip -- one value after another
def test_json_is_the_default_and_any_parameters_are_ignored(content_type: str | None) -> None:
    assert content_format(content_type) is Format.JSON


@pytest.mark.parametrize(
    "content_type", ["text/csv", "TEXT/CSV;charset=utf8", "text/csv; header=present"]
)
def test_csv_is_accepted(content_type: str) -> None:
    assert content_format(content_type) is Format.CSV


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "json",
        "text/json",
        "application/json, text/csv",
        "application/json; charset=utf-16",
        "text/csv;charset=latin-1",
        'application/json; x="a\\";b"; charset="iso-8859-1"',
    ],
)  # fmt: skip -- one value after another
def test_any_other_type_or_charset_is_refused_naming_it_and_the_two_supported(
    content_type: str,
) -> None:
    with pytest.raises(RequestRefused) as caught:
        content_format(content_type)
    assert caught.value.error_type == "INVALID_DATA"
    assert caught.value.message == (
        f"Unsupported Content-Type [{content_type}]: supported are application/json and text/csv,"
        " in UTF-8"
    )


JSON, XML = AnswerFormat.JSON, AnswerFormat.XML


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/xml", XML),
        ("text/xml", XML),
        ("text/*", XML),
        ("Application/XML;charset=utf-8", XML),
        ("application/*", JSON),
        ("application/xml, */*", XML),  # a tie: the more specific
        ("application/xml, application/json", JSON),  # a tie: JSON
        ("application/xml, application/json;q=0.9", XML),
        ("application/xml;q=0.5, application/json;q=0.4", XML),
        ("application/xml;q=0.5, */*;q=0.6", JSON),
        ("application/json;q=0, */*", XML),
        ("application/json;q=0, application/*;q=0.1", XML),
        ("application/xml;q=0, */*", JSON),
        ("application/xml;q=0, text/xml", XML),
        ("application/json;q=0", JSON),
        ("*/*;q=0", JSON),
        ("text/csv", JSON),
        ("image/png, text/html;q=0.9", JSON),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", XML),
        ("text/html, image/gif, *; q=.2, */*; q=.2", JSON),
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", JSON),
        ("application/xml;q=.5, application/json;q=.4", XML),
        ("application/xml;q=.5, application/json;q=0.6", JSON),
        ("application/xml;q=., application/json;q=.1", JSON),
        ("application/xml;q=.1, *;q=.2", JSON),
        ("application/xml;q=2, application/json;q=0.1", JSON),
        ("application/xml;q=nan", JSON),
        ("application/xml;q=1.000", XML),
        ('application/json;x="a,application/xml"', JSON),
        (", ,application/xml,", XML),
        ("xml", JSON),
        ('"', JSON),
        ('image/png;x="a, application/xml', JSON),  # an open quote reaches to the end
        ("application/xml;", XML),
        ("\x00\xff", JSON),
    ],
)
def test_accept_is_judged_by_quality_then_specificity_then_json(
    accept: str | None, expected: AnswerFormat
) -> None:
    assert accept_format(accept) is expected


RANGES = [
    "application/json",
    "application/xml",
    "text/xml",
    "application/*",
    "text/*",
    "*/*",
    "a/b",
]
MATCHES = {
    JSON: [{"application/json"}, {"application/*"}, {"*/*"}],
    XML: [{"application/xml", "text/xml"}, {"application/*", "text/*"}, {"*/*"}],
}


def oracle(wanted: list[tuple[str, int]]) -> AnswerFormat:
    def worth(format_: AnswerFormat) -> tuple[int, int]:
        for vagueness, names in enumerate(MATCHES[format_]):
            found = [thousandths for name, thousandths in wanted if name in names]
            if found:
                return (max(found), -vagueness) if max(found) else (0, -9)
        return (0, -9)

    return XML if worth(XML) > worth(JSON) else JSON


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(RANGES), st.sampled_from([0, 1, 300, 999, 1000])), max_size=5
    )
)
def test_accept_agrees_with_a_small_oracle(wanted: list[tuple[str, int]]) -> None:
    header = " , ".join(f"{name} ; q={value / 1000:.3f}" for name, value in wanted)
    assert accept_format(header) is oracle(wanted)


@settings(max_examples=200, deadline=None)
@given(
    st.text(st.sampled_from('aplicton/jsxm*;q=0.19," \\\t\xff'), max_size=60) | st.text(max_size=20)
)
def test_no_header_crashes(header: str) -> None:
    assert accept_format(header) in AnswerFormat
    try:
        content_format(header)
    except RequestRefused:
        return
