"""``rescind cancel``, ``undo``, ``operations``: take jobs back, many at once, and see it done."""

import sys
from collections import Counter
from typing import Annotated

import typer

from rescind import limits
from rescind.cli.exits import Exit
from rescind.cli.jobs import FileOption, JobsArgument, TimeoutOption, WhereOption
from rescind.cli.remote import (
    JsonOption,
    ReasonOption,
    UrlOption,
    ids_given,
    leave,
    listed,
    number,
    print_answers,
    print_json,
    print_table,
    progress,
    service,
    tell,
)
from rescind.client import Client, JobEnded, Operation, Selection, WaitedInVain
from rescind.clock import SystemClock, sleep
from rescind.lifecycle import FINAL, Status

_DONE = {"ACCEPTED", "ALREADY_CANCELLING", "SUBMITTED", "STARTED"}
_SHOWN = 20
_ENDED = ", ".join(f"'{status}'" for status in sorted(FINAL))
_UNENDED = "SELECT id FROM job__sys WHERE ({where}) AND NOT (status__sys CONTAINS ({ended}))"
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
ExpectOption = Annotated[
    int | None,
    typer.Option("--expect", metavar="N", help="Do nothing unless it is so many; exit with 7."),
]
OperationArgument = Annotated[str, typer.Argument(metavar="OPERATION", help="Its id.")]


def cancel(  # noqa: PLR0917 - typer turns each parameter into an option by name
    ids: JobsArgument = None,
    file: FileOption = None,
    where: WhereOption = None,
    selection: Annotated[
        str | None,
        typer.Option("--selection", metavar="ID", help="Exactly what --dry-run has shown."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be cancelled, and do nothing.")
    ] = False,
    expect: ExpectOption = None,
    yes: YesOption = False,
    reason: ReasonOption = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until every job that was accepted has stopped.")
    ] = False,
    timeout: TimeoutOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Cancel jobs: those with these ids, or all that match and have not ended."""
    given = [ids or file, where, selection]
    if sum(one is not None for one in map(_or_none, given)) != 1:
        raise leave("give ids, --file, --where or --selection: one of these", Exit.USAGE)
    if _or_none(ids or file) is not None:
        _cancel_ids(ids_given(ids, file), expect, dry_run, reason, wait, timeout, url, as_json)
        return
    with service(url, as_json=as_json) as client:
        pinned = _pinned(client, where, selection)
        _show(pinned)
        if pinned.total == 0:
            raise leave("nothing matches", Exit.NOTHING_MATCHED)
        if expect is not None and pinned.total != expect:
            raise leave(f"{number(expect)} expected; nothing was done", Exit.DECLINED)
        if dry_run:
            print_answers(client) if as_json else print(pinned.selection_id)
            return
        _consent(f"Cancel {number(pinned.total)}?", yes)
        operation_id = client.operate(pinned.selection_id, "cancel", reason)
        _finish(client, operation_id, wait, timeout, as_json)


def _or_none(value: object) -> object | None:
    return value or None


def _cancel_ids(
    ids: list[int],
    expect: int | None,
    dry_run: bool,
    reason: str | None,
    wait: bool,
    timeout: float | None,
    url: str | None,
    as_json: bool,
) -> None:
    if expect is not None and len(ids) != expect:
        raise leave(f"{number(len(ids))} given, {expect:,} expected", Exit.DECLINED)
    if dry_run:
        tell(f"{number(len(ids))} would be cancelled")
        return
    with service(url, as_json=as_json) as client:
        outcomes, batch = [], limits.CANCEL_BATCH_JOBS_MAX
        with progress("asked", total=len(ids)) as show:
            for first in range(0, len(ids), batch):
                outcomes += client.cancel(ids[first : first + batch], reason)
                show(len(outcomes))
        if as_json:
            print_answers(client)
        accepted = [one.job_id for one in outcomes if one.accepted]
        refused = [one for one in outcomes if not one.accepted]
        for one in refused:
            tell(f"{one.job_id}: {one.code or 'refused'}: {one.message}")
        tell(f"{len(accepted):,} accepted, {len(refused):,} refused")
        if wait and accepted:
            _await_ids(client, accepted, timeout)
    if refused:
        raise typer.Exit(Exit.SOME_REFUSED)


def _await_ids(client: Client, ids: list[int], timeout: float | None) -> None:
    try:
        with progress("stopped", total=len(ids)) as show:
            client.wait(ids, timeout, lambda done, _of: show(done))
    except JobEnded as ended:
        stopped = [end for end in ended.ends.values() if end == Status.CANCELLED]
        tell(f"{len(stopped):,} stopped")


def _pinned(client: Client, where: str | None, selection: str | None) -> Selection:
    if selection is not None:
        return client.selection(selection)
    return client.select(_UNENDED.format(where=where, ended=_ENDED))


def _show(pinned: Selection) -> None:
    """How many stand where, and the first of them."""
    counts = f": {listed(pinned.statuses)}" if pinned.statuses else ""
    tell(f"{number(pinned.total)}{counts}")
    for job in pinned.first[:5]:
        tell(f"  {job.id}  {job.title}  {job.status}")
    if pinned.total > len(pinned.first[:5]):
        tell("  ...")
    if pinned.left_out:
        tell(f"{number(pinned.left_out)} more that you may not cancel")


def _consent(question: str, yes: bool) -> None:
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise leave("there is no terminal to ask on: say --yes; nothing was done", Exit.DECLINED)
    if not typer.confirm(question, err=True):
        raise leave("nothing was done", Exit.DECLINED)


def _finish(
    client: Client, operation_id: str, wait: bool, timeout: float | None, as_json: bool
) -> None:
    """Watch an operation to its end, and say what became of it."""
    operation = _watched(client, operation_id, wait, timeout)
    refused = Counter(operation.outcomes)
    for code in _DONE:
        del refused[code]
    done = operation.total - refused.total()
    if refused:
        _show_refused(client, operation, refused)
    word = {"cancel": "accepted", "rerun": "submitted", "undo": "undone"}.get(
        operation.action, "done"
    )
    tell(f"{done:,} {word}, {refused.total():,} refused")
    if operation.action == "cancel":
        tell(f"{operation.stopped:,} stopped by now; to take it back: rescind undo {operation_id}")
    if as_json:
        answers = client.answers or []
        print_json(answers[-1] if not refused else _last_of(answers, operation_id))
    else:
        print(operation_id)
    if wait and operation.stopped < operation.outcomes.get("ACCEPTED", 0):
        raise leave("not all have stopped in time", Exit.NOT_IN_TIME)
    if refused:
        raise typer.Exit(Exit.SOME_REFUSED)


def _last_of(answers: list[dict[str, object]], operation_id: str) -> object:
    """The last answer that tells how far the operation has come."""
    return next(
        answer
        for answer in reversed(answers)
        if isinstance(data := answer.get("data"), dict) and data.get("operation_id") == operation_id
    )


def _watched(client: Client, operation_id: str, wait: bool, timeout: float | None) -> Operation:
    """The operation once it is done and, to ``wait``, once all it has cancelled has stopped; or
    when the time is over.
    """
    clock = SystemClock()
    until = None if timeout is None else clock.elapsed() + timeout
    operation, pause = client.operation(operation_id), limits.CLIENT_POLL_SECONDS_MIN
    with progress("done", "stopped", total=operation.total) as show:
        while True:
            show(operation.done, operation.stopped)
            accepted = operation.outcomes.get("ACCEPTED", 0)
            if operation.status != "RUNNING" and not (wait and operation.stopped < accepted):
                return operation
            if until is not None and clock.elapsed() >= until:
                if operation.status == "RUNNING":
                    message = f"operation {operation_id} goes on: {operation.done:,} done"
                    raise WaitedInVain(message, [])
                return operation
            sleep(pause)
            pause = min(limits.CLIENT_POLL_SECONDS_MAX / 2, pause * 1.5)
            operation = client.operation(operation_id)


def _show_refused(client: Client, operation: Operation, refused: Counter[str]) -> None:
    """Each refusal with its reason; of many, the first."""
    for code in sorted(refused):
        for at, one in enumerate(client.outcomes(operation.operation_id, code)):
            if at == _SHOWN:
                command = f"rescind operations {operation.operation_id} --code {code}"
                tell(f"... and {refused[code] - _SHOWN:,} more {code}: {command}")
                break
            tell(f"{one.id}: {code}{f' (it is {one.status})' if one.status else ''}")


def undo(
    operation_id: OperationArgument,
    reason: ReasonOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take back what an operation has cancelled: new jobs stand in for the old."""
    with service(url, as_json=as_json) as client:
        _finish(client, client.undo(operation_id, reason), False, None, as_json)


def operations(
    operation_id: Annotated[
        str | None, typer.Argument(metavar="[OPERATION]", help="One, with its outcomes.")
    ] = None,
    code: Annotated[str | None, typer.Option(help="Only outcomes with this code.")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it: the rest stays as it is.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Operations, newest first; or what became of each job of one."""
    with service(url, as_json=as_json) as client:
        if operation_id is None:
            found = [*client.operations()]
        else:
            if stop:
                client.stop(operation_id)
            found = [client.operation(operation_id)]
        outcomes = [] if operation_id is None else [*client.outcomes(operation_id, code)]
        if as_json:
            print_answers(client)
            return
    rows = (
        (
            one.operation_id,
            one.action,
            one.status,
            f"{one.done:,} of {one.total:,}",
            f"{one.stopped:,}",
            listed(one.outcomes),
            f"{one.created_date.astimezone():%Y-%m-%d %H:%M:%S}",
        )
        for one in found
    )
    heads = ("OPERATION", "ACTION", "STATUS", "DONE", "STOPPED", "OUTCOMES", "CREATED")
    print_table(heads, rows)
    if outcomes:
        print()
        jobs = ((one.id, one.code, one.status, one.new_id) for one in outcomes)
        print_table(("ID", "CODE", "STATUS", "NEW JOB"), jobs)
