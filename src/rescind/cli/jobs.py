"""Commands about single jobs: submit, find, watch, run again."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from rescind import limits
from rescind.cli.exits import Exit
from rescind.cli.remote import (
    JsonOption,
    ReasonOption,
    UrlOption,
    ids_given,
    leave,
    number,
    print_answers,
    print_json,
    print_table,
    progress,
    service,
    tell,
)
from rescind.client import Client, JobEnded
from rescind.client.values import Details, JobStatus, JobSummary, Obstacle
from rescind.clock import sleep
from rescind.lifecycle import FINAL, Status
from rescind.wire.text import one_line

JobArgument = Annotated[int, typer.Argument(metavar="ID", help="A job's id.", min=0)]
JobsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="ID...", help="Ids of jobs; - for standard input.")
]
FileOption = Annotated[
    str | None,
    typer.Option("--file", metavar="FILE", help="A file with an id in each line, or CSV."),
]
TimeoutOption = Annotated[
    float | None, typer.Option(metavar="SECONDS", help="Wait no longer; then exit with 8.", min=0)
]
WhereOption = Annotated[
    str | None,
    typer.Option("--where", metavar="CONDITION", help="What follows WHERE in VQL on job__sys."),
]
_COLUMNS = (
    "id, status__sys, created_date__sys, job_name__sys, job_title__sys, start_date__sys, "
    "finish_date__sys"
)


_NEWEST = "SELECT {columns} FROM job__sys{where} ORDER BY id DESC MAXROWS {limit}"


def submit(  # noqa: PLR0917 - typer turns each parameter into an option by name
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name in @job.")],
    parameters: Annotated[
        str | None, typer.Option(metavar="JSON", help="Its parameters, a JSON object.")
    ] = None,
    parameters_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="The same from a file; - for standard input."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="What people see.")] = None,
    run_date: Annotated[
        datetime | None, typer.Option(help="When it is due, in local time; else now.")
    ] = None,
    priority: Annotated[
        int | None, typer.Option(help="1 to 100, the smaller the sooner; else 50.")
    ] = None,
    unique_key: Annotated[
        str | None, typer.Option(help="Submit nothing if a job that waits or runs has it.")
    ] = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Submit a job; prints its id."""
    given = _parameters(parameters, parameters_file)
    with service(url, as_json=as_json) as client:
        job_id = client.submit(
            name,
            parameters=given,
            title=title,
            run_date=None if run_date is None else run_date.astimezone(),
            priority=priority,
            unique_key=unique_key,
        )
        if as_json:
            print_answers(client)
        else:
            print(job_id)


def _parameters(text: str | None, file: str | None) -> dict[str, Any] | None:
    if text is not None and file is not None:
        raise leave("--parameters and --parameters-file: one of the two", Exit.USAGE)
    if file is not None:
        try:
            text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise leave(f"{file} cannot be read: {error}", Exit.USAGE) from error
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise leave(f"the parameters are no JSON object: {error}", Exit.USAGE) from error


def jobs(
    where: WhereOption = None,
    limit: Annotated[int, typer.Option(help="How many at most.", min=1)] = 50,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """What there is, newest first."""
    condition = "" if where is None else f" WHERE {where}"
    vql = _NEWEST.format(columns=_COLUMNS, where=condition, limit=limit)
    with service(url, as_json=as_json) as client:
        rows = [*client.query(vql)]
        if as_json:
            print_answers(client)
        else:
            heads = ("ID", "STATUS", "CREATED", "NAME", "TITLE")
            print_table(heads, map(_row, rows))
    if not rows:
        tell("No jobs match.")


def _row(row: dict[str, Any]) -> list[Any]:
    """What people see of a job."""
    created = datetime.fromisoformat(row["created_date__sys"]).astimezone()
    names = ("id", "status__sys", "created_date__sys", "job_name__sys", "job_title__sys")
    return [*({**row, "created_date__sys": f"{created:%Y-%m-%d %H:%M:%S}"}[name] for name in names)]


def status(
    job_id: JobArgument,
    watch: Annotated[bool, typer.Option("--watch", help="Until it has ended.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Where a job stands."""
    with service(url, as_json=as_json) as client:
        found, pause = client.status(job_id), limits.CLIENT_POLL_SECONDS_MIN
        shown: Status | None = None
        while True:
            if not as_json and found.status is not shown:
                print(_line(found))
            shown = found.status
            if not watch or found.status in FINAL:
                break
            sleep(pause)
            pause = min(limits.CLIENT_POLL_SECONDS_MAX, pause * 1.5)
            found = client.status(job_id)
        if as_json:
            print_json(client.answers[-1] if client.answers else None)


def _line(found: JobStatus) -> str:
    at = found.run_end_date or found.run_start_date
    return f"{found.id}\t{found.status}\t{at.astimezone():%Y-%m-%d %H:%M:%S}"


def details(job_id: JobArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """All that is known of a job, and its moves."""
    with service(url, as_json=as_json) as client:
        found = client.details(job_id)
        if as_json:
            print_answers(client)
            return
        _print_details(found)


def _print_details(found: Details) -> None:
    shown: dict[str, object] = {
        "job": f"{found.id}  {found.title}  ({found.job_metadata})",
        "status": found.status,
        "waits": "\n".join(_obstacle(one) for one in found.obstacles) or None,
        "evidence": found.evidence,
        "worker": found.worker,
        "parameters": msgspec.json.encode(found.parameters).decode(),
        "result": None if found.result is None else msgspec.json.encode(found.result).decode(),
        "error": found.errors[-1].error.strip() if found.errors else None,
        "repeats": found.rerun_of,
        "repeated by": ", ".join(str(rerun.id) for rerun in found.reruns) or None,
    }
    for name, value in shown.items():
        if value is not None:
            first, *more = str(value).splitlines() or [""]
            print(
                f"{name:12}{one_line(first)}",
                *(f"{'':12}{one_line(line)}" for line in more),
                sep="\n",
            )
    print()
    rows = (
        (
            f"{move.date.astimezone():%Y-%m-%d %H:%M:%S}",
            move.move,
            move.to_status,
            move.user_name or move.by,
            move.reason,
        )
        for move in found.moves
    )
    print_table(("WHEN", "MOVE", "TO", "BY", "REASON"), rows)


def _obstacle(found: Obstacle) -> str:
    return found.reason if found.worker is None else f"{found.worker}: {found.reason}"


def wait(
    ids: JobsArgument = None,
    file: FileOption = None,
    timeout: TimeoutOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Wait until jobs have ended; exits with 1 unless all succeeded."""
    wanted = ids_given(ids, file)
    with service(url) as client:
        try:
            ends = _waited(client, wanted, timeout)
            failed: JobEnded | None = None
        except JobEnded as error:
            ends = {job_id: Status(error.ends[job_id]) for job_id in error.ends}
            failed = error
    if as_json:
        print_json([{"id": job_id, "status": end} for job_id, end in ends.items()])
    else:
        for job_id, end in ends.items():
            print(f"{job_id}\t{end}")
    if failed is not None:
        raise leave(str(failed), Exit.SOME_REFUSED)


def _waited(client: Client, ids: list[int], timeout: float | None) -> dict[int, Status]:
    with progress("ended", total=len(ids)) as show:
        return client.wait(ids, timeout, lambda done, _of: show(done))


def result(job_id: JobArgument, url: UrlOption = None) -> None:
    """What a job returned, as JSON."""
    with service(url) as client:
        print_json(client.result(job_id))


def start(
    job_id: JobArgument,
    reason: ReasonOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a SCHEDULED job run now."""
    with service(url, as_json=as_json) as client:
        client.start(job_id, reason)
        if as_json:
            print_answers(client)
        else:
            print(job_id)


def rerun(
    ids: JobsArgument = None,
    file: FileOption = None,
    undo: Annotated[
        bool, typer.Option("--undo", help="Take back the cancel of what had not started.")
    ] = False,
    reason: ReasonOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run finished jobs again; prints the new ids."""
    wanted = ids_given(ids, file)
    with service(url, as_json=as_json) as client:
        outcomes = client.rerun(wanted, undo, reason)
        if as_json:
            print_answers(client)
    refused = [one for one in outcomes if one.code != "SUBMITTED"]
    for one in outcomes:
        if not as_json and one not in refused:
            print(f"{one.job_id}\t{one.new_id}")
    for one in refused:
        tell(f"{one.job_id}: {one.code}: {one.message}")
    if refused:
        tell(f"{number(len(outcomes) - len(refused))} submitted, {len(refused):,} refused")
        raise typer.Exit(Exit.SOME_REFUSED)


def log(
    job_id: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Until the job has ended.")] = False,
    url: UrlOption = None,
) -> None:
    """A job's log."""
    with service(url) as client:
        for text in client.log(job_id, follow):
            sys.stdout.write(text)
            sys.stdout.flush()


def query(
    vql: Annotated[str, typer.Argument(metavar="VQL", help="A query.")],
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rows, by VQL."""
    with service(url, as_json=as_json) as client:
        rows = [*client.query(vql)]
        if as_json:
            print_answers(client)
        elif rows:
            print_table([*rows[0]], ([*row.values()] for row in rows))


SinceOption = Annotated[datetime | None, typer.Option(help="Inclusive, in local time.")]
StatusOption = Annotated[str | None, typer.Option("--status", help="Only those.")]


def histories(
    start_date: SinceOption = None,
    end_date: SinceOption = None,
    status: StatusOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Finished jobs, newest first, by when they finished."""
    with service(url, as_json=as_json) as client:
        dates = {"start_date": _local(start_date), "end_date": _local(end_date)}
        _print_list(client, [*client.histories(**dates, status=status)], as_json)


def monitors(
    start_date: SinceOption = None,
    end_date: SinceOption = None,
    status: StatusOption = None,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Unfinished jobs in the order of their start, by when they were submitted."""
    with service(url, as_json=as_json) as client:
        dates = {"start_date": _local(start_date), "end_date": _local(end_date)}
        _print_list(client, [*client.monitors(**dates, status=status)], as_json)


def _local(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone()


def _print_list(client: Client, found: list[JobSummary], as_json: bool) -> None:
    if as_json:
        print_answers(client)
        return
    rows = (
        (one.job_id, one.title, one.status, f"{one.run_start_date.astimezone():%Y-%m-%d %H:%M:%S}")
        for one in found
    )
    print_table(("ID", "TITLE", "STATUS", "START"), rows)


def tasks(job_id: JobArgument, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """The tasks of an SDK job."""
    with service(url, as_json=as_json) as client:
        found = client.tasks(job_id)
        if as_json:
            print_answers(client)
        else:
            print_table(("ID", "STATE"), ((task.id, task.state) for task in found))
