import json

import pytest

from rescind.lifecycle import FINAL, Status
from rescind.model import CancelCode, CancelOutcome, SubmitOutcome
from rescind.wire import envelope
from rescind.wire.envelope import Payload
from rescind.wire.error_types import ErrorType, ResponseStatus
from rescind.wire.negotiation import AnswerFormat
from rescind.wire.render import render

PUBLISHED_CANCEL = """{
   "responseStatus": "SUCCESS",
   "data": [
       {
           "responseStatus": "SUCCESS",
           "data": {
               "id": 1068044
           }
       },
       {
           "responseStatus": "FAILURE",
           "errors": {
               "type": "INVALID_DATA",
               "message": "Job [1068337] is not found in QUEUED or QUEUEING state"
           }
       }
   ]
}"""
ACCEPTED = CancelOutcome(code=CancelCode.ACCEPTED, job_id=1068044, status=Status.CANCELLING)
UNKNOWN = CancelOutcome(code=CancelCode.UNKNOWN, job_id=1068337)


def as_json(payload: Payload) -> str:
    body, content_type = render(payload, AnswerFormat.JSON)
    assert content_type == "application/json;charset=UTF-8"
    assert body.endswith(b"}\n")
    return body.decode().strip()


def compact(published: str) -> str:
    """The same bytes without the whitespace between them, keys in their order."""
    return json.dumps(json.loads(published), separators=(",", ":"))


def test_a_cancel_answers_as_published() -> None:
    assert as_json(envelope.cancel_answer([ACCEPTED, UNKNOWN])) == compact(PUBLISHED_CANCEL)


@pytest.mark.parametrize(
    ("payload", "published"),
    [
        (
            envelope.auth_failure(
                ErrorType.NO_PASSWORD_PROVIDED, "No password was provided for the login call."
            ),
            """{"responseStatus": "FAILURE", "errors": [{"type": "NO_PASSWORD_PROVIDED",
            "message": "No password was provided for the login call."}],
            "errorType": "AUTHENTICATION_FAILED"}""",
        ),
        (
            envelope.failure("INVALID_SESSION_ID", "Invalid or expired session ID."),
            """{"responseStatus": "FAILURE","errors": [{"type": "INVALID_SESSION_ID",
            "message": "Invalid or expired session ID."}]}""",
        ),
        (envelope.success(), '{"responseStatus": "SUCCESS"}'),
        (
            envelope.success(url="/api/v26.1/services/jobs/72505", job_id=72505),
            """{"responseStatus": "SUCCESS", "url": "/api/v26.1/services/jobs/72505",
            "job_id": 72505}""",
        ),
        (
            envelope.exception("b1946ac9"),
            """{"responseStatus": "EXCEPTION","errors": [{"type": "UNEXPECTED_ERROR",
            "message": "An unexpected error has occurred. Request ID: [b1946ac9]"}]}""",
        ),
    ],
)
def test_whole_answers_have_the_published_keys_in_their_order(
    payload: Payload, published: str
) -> None:
    assert as_json(payload) == compact(published)


def item(outcome: CancelOutcome, *, detail: bool = False, parity: bool = False) -> Payload:
    answer = envelope.cancel_answer([outcome], detail=detail, parity=parity)
    (only,) = json.loads(as_json(answer))["data"]
    assert isinstance(only, dict)
    return only


def test_a_job_already_cancelling_answers_success() -> None:
    outcome = CancelOutcome(code=CancelCode.ALREADY_CANCELLING, job_id=7, status=Status.CANCELLING)
    assert item(outcome) == {"responseStatus": "SUCCESS", "data": {"id": 7}}


@pytest.mark.parametrize("status", sorted(FINAL))
def test_a_final_job_answers_with_the_published_text_whatever_its_status(status: Status) -> None:
    is_cancelled = status is Status.CANCELLED
    code = CancelCode.ALREADY_CANCELLED if is_cancelled else CancelCode.FINISHED
    assert item(CancelOutcome(code=code, job_id=7, status=status)) == item(
        CancelOutcome(code=CancelCode.UNKNOWN, job_id=7)
    )


def test_a_job_that_does_not_permit_it_says_so_unless_parity_is_asked_for() -> None:
    outcome = CancelOutcome(code=CancelCode.NOT_CANCELLABLE, job_id=7, status=Status.QUEUED)
    assert item(outcome)["errors"] == {
        "type": "OPERATION_NOT_ALLOWED",
        "message": "Job [7] does not permit cancellation in QUEUED state",
    }
    assert item(outcome, parity=True)["errors"] == {
        "type": "INVALID_DATA",
        "message": "Job [7] is not found in QUEUED or QUEUEING state",
    }


def test_a_job_that_somebody_holds_says_that_nothing_was_done() -> None:
    outcome = CancelOutcome(code=CancelCode.RACE_CONDITION, job_id=7, status=Status.QUEUED)
    for parity in (True, False):
        errors = item(outcome, parity=parity)["errors"]
        assert errors["type"] == "RACE_CONDITION"
        assert "Job [7]" in errors["message"]


def test_a_bad_item_answers_with_its_own_message() -> None:
    outcome = CancelOutcome(code=CancelCode.INVALID_ID, message="Item 1: job_id is missing")
    assert item(outcome) == {
        "responseStatus": "FAILURE",
        "errors": {"type": "INVALID_DATA", "message": "Item 1: job_id is missing"},
    }


@pytest.mark.parametrize("code", CancelCode)
def test_detail_adds_code_and_status_after_the_published_keys(code: CancelCode) -> None:
    outcome = CancelOutcome(code=code, job_id=7, status=Status.CANCELLING, message="m")
    plain, detailed = item(outcome), item(outcome, detail=True)
    place = "data" if "data" in plain else "errors"
    more = {"code": code.value, "status": "CANCELLING"}
    assert list(detailed[place].items()) == [*plain[place].items(), *more.items()]


def test_detail_without_a_status_leaves_it_out() -> None:
    assert list(item(UNKNOWN, detail=True)["errors"]) == ["type", "message", "code"]


def test_a_submit_answers_item_by_item() -> None:
    refused = SubmitOutcome(error_type="INVALID_DATA", message="Item 2 [7] must be an object")
    there = SubmitOutcome(job_id=4, existing=True)
    assert envelope.submit_answer([SubmitOutcome(job_id=5), refused, there]) == {
        "responseStatus": "SUCCESS",
        "data": [
            {"responseStatus": "SUCCESS", "data": {"id": 5}},
            {
                "responseStatus": "FAILURE",
                "errors": {"type": "INVALID_DATA", "message": "Item 2 [7] must be an object"},
            },
            {"responseStatus": "SUCCESS", "data": {"id": 4, "existing": True}},
        ],
    }


def test_each_word_is_its_own_name() -> None:
    words: list[ErrorType | ResponseStatus] = [*ErrorType, *ResponseStatus]
    assert all(word.value == word.name for word in words)
    assert len(ErrorType) == 26
