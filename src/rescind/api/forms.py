"""HTML forms, urlencoded or multipart, to a flat mapping."""

from io import BytesIO
from urllib.parse import parse_qsl

from python_multipart import parse_form as parse_multipart
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File

from rescind import limits
from rescind.wire.text import invalid


def parse_form(body: bytes, content_type: str | None) -> dict[str, str]:
    """The text fields of a form; of a repeated name the last counts, files are ignored.

    Raises RequestRefused, INVALID_DATA, for any other content type, a malformed form, text that
    is not UTF-8, or more than ``LOGIN_FIELDS_MAX`` fields.
    """
    sent = content_type or ""
    readers = {"application/x-www-form-urlencoded": _urlencoded, "multipart/form-data": _multipart}
    read = readers.get(sent.partition(";")[0].strip().lower())
    if read is None:
        raise invalid(f"Content-Type [{sent}] is not supported; supported: {', '.join(readers)}")
    try:
        fields = read(body, sent)
    except (FormParserError, ValueError) as error:
        raise invalid(f"The form is malformed: {error}") from error
    return dict(fields)


def _urlencoded(body: bytes, _content_type: str) -> list[tuple[str, str]]:
    return parse_qsl(
        body.decode(),
        keep_blank_values=True,
        errors="strict",
        max_num_fields=limits.LOGIN_FIELDS_MAX,
    )


def _multipart(body: bytes, content_type: str) -> list[tuple[str, str]]:
    fields: list[Field] = []
    files: list[File] = []

    def count() -> None:
        if len(fields) + len(files) > limits.LOGIN_FIELDS_MAX:
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
