"""A context by itself, as people test their jobs with it."""

import threading
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from rescind import JobCancelled, JobContext


def context_of(said: list[Any]) -> JobContext:
    return JobContext(
        job_id=1,
        attempt=1,
        parameters={},
        on_log=said.append,
        on_progress=lambda done, total: said.append((done, total)),
    )


def test_progress_takes_whole_numbers_of_any_library_as_pythons_own() -> None:
    said: list[Any] = []
    context_of(said).progress(np.int64(3), np.uint8(9))  # type: ignore[arg-type]  # on purpose
    assert said == [(3, 9)]
    assert {type(number) for number in said[0]} == {int}


@pytest.mark.parametrize("number", [True, np.bool_(True), 1.0, Decimal(1), "1", None, -1, 2**53])
def test_progress_refuses_anything_else(number: Any) -> None:
    with pytest.raises(ValueError, match="progress takes whole numbers from 0"):
        context_of([]).progress(number, 9)
    with pytest.raises(ValueError, match="progress takes whole numbers from 0"):
        context_of([]).progress(1, number)


def test_in_the_functions_thread_progress_raises_once_and_the_others_always() -> None:
    context = context_of([])
    context.cancelled.set()
    with pytest.raises(JobCancelled):
        context.progress(1, 2)
    context.progress(1, 2)
    for checkpoint in (context.check_cancelled, lambda: context.sleep(0)) * 2:
        with pytest.raises(JobCancelled):
            checkpoint()
    context.progress(1, 2)


def test_log_never_raises() -> None:
    said: list[Any] = []
    context = context_of(said)
    context.cancelled.set()
    context.log(7)
    context.log("again")
    assert said == ["7", "again"]


def test_progress_raises_nothing_while_an_exception_is_handled() -> None:
    context = context_of([])
    context.cancelled.set()
    try:
        int("broken")
    except ValueError:
        context.progress(1, 2)
    with pytest.raises(JobCancelled):
        context.progress(1, 2)


def test_in_another_thread_each_checkpoint_raises_each_time() -> None:
    context = context_of([])
    context.cancelled.set()
    told: list[str] = []

    def ask() -> None:
        for _ in range(3):
            try:
                context.progress(1, 2)
            except JobCancelled:
                told.append("progress")

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert told == ["progress"] * 3
    with pytest.raises(JobCancelled):
        context.progress(1, 2)


def test_an_uninterrupted_block_is_a_block_anywhere() -> None:
    context = context_of([])
    with context.uninterrupted(), context.uninterrupted():
        context.log("inside")
    thread = threading.Thread(target=lambda: context.uninterrupted().__enter__())
    thread.start()
    thread.join()
