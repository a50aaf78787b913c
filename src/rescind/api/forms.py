"""HTML forms, urlencoded or multipart, to a flat mapping."""

from io import BytesIO
from urllib.parse import parse_qsl

from python_multipart import parse_form as parse_multipart
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File

from rescind import limits
from rescind.wire.text import invalid


def parse_form(body: bytes, content_type: str | None) -> dict[str, str]:
    """The text fields of a form, of a repeated name the last one; as :func:`parse_fields`."""
    return dict(parse_fields(body, content_type, fields_max=limits.LOGIN_FIELDS_MAX))


def parse_fields(
    body: bytes, content_type: str | None, *, fields_max: int
) -> list[tuple[str, str]]:
    """The text fields of a form, in their order; files are ignored.

    Raises RequestRefused, INVALID_DATA, for any other content type, a malformed form, text that
    is not UTF-8, or more than ``fields_max`` fields.
    """
    sent = content_type or ""
    readers = {"application/x-www-form-urlencoded": _urlencoded, "multipart/form-data": _multipart}
    read = readers.get(sent.partition(";")[0].strip().lower())
    if read is None:
        raise invalid(f"Content-Type [{sent}] is not supported; supported: {', '.join(readers)}")
    try:
        return read(body, sent, fields_max)
    except (FormParserError, ValueError) as error:
        raise invalid(f"The form is malformed: {error}") from error


def _urlencoded(body: bytes, _content_type: str, fields_max: int) -> list[tuple[str, str]]:
    return parse_qsl(
        body.decode(),
        keep_blank_values=True,
        errors="strict",
        max_num_fields=fields_max,
    )


def _multipart(body: bytes, content_type: str, fields_max: int) -> list[tuple[str, str]]:
    fields: list[Field] = []
    files: list[File] = []

    def count() -> None:
        if len(fields) + len(files) > fields_max:
            raise ValueError("Max number of fields exceeded")

    def keep_field(field: Field) -> None:
        fields.append(field)
        count()

    def keep_file(file: File) -> None:
        files.append(file)
        count()

    headers = {
        "Content-Type": content_type.encode("latin-1", "replace"),
        "Content-Length": str(len(body)).encode(),
    }
    try:
        parse_multipart(headers, BytesIO(body), keep_field, keep_file)
    finally:
        for file in files:
            file.close()
    return [((field.field_name or b"").decode(), (field.value or b"").decode()) for field in fields]
