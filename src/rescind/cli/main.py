"""``rescind``: its commands."""

import io
import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated, Any

import typer

from rescind import config as configuration
from rescind.cli import cancelling, dev, jobs, session
from rescind.cli.exits import Exit, clear_errors
from rescind.cli.users import users

app = typer.Typer(
    name="rescind",
    help="A durable job service whose cancel is kept.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
database = typer.Typer(help="Look after the database.", no_args_is_help=True)
app.add_typer(users, name="user")
app.add_typer(database, name="db")

for _name, _command, _example in (
    ("dev", dev.dev, "rescind dev"),
    ("login", session.login, "rescind login --url https://rescind.example --username ada"),
    ("logout", session.logout, "rescind logout"),
    ("submit", jobs.submit, """rescind submit demo_sleep__c --parameters '{"seconds": 5}'"""),
    ("jobs", jobs.jobs, "rescind jobs --where \"status__sys = 'RUNNING'\""),
    ("status", jobs.status, "rescind status 12 --watch"),
    ("details", jobs.details, "rescind details 12"),
    ("wait", jobs.wait, "rescind wait 12 13 --timeout 60"),
    ("result", jobs.result, "rescind result 12"),
    ("cancel", cancelling.cancel, "rescind cancel --where \"job_name__sys = 'x__c'\" --wait"),
    ("rerun", jobs.rerun, "rescind rerun 12 13"),
    ("start", jobs.start, "rescind start 12"),
    ("operations", cancelling.operations, "rescind operations"),
    ("undo", cancelling.undo, "rescind undo OPERATION"),
    ("query", jobs.query, 'rescind query "SELECT id FROM job__sys"'),
    ("histories", jobs.histories, "rescind histories --start-date 2026-11-01"),
    ("monitors", jobs.monitors, "rescind monitors"),
    ("tasks", jobs.tasks, "rescind tasks 12"),
    ("log", jobs.log, "rescind log 12 --follow"),
):
    app.command(_name, epilog=f"Example: {_example}")(_command)

DatabaseOption = Annotated[
    str | None, typer.Option("--database", metavar="URL", help="Where everything is kept.")
]

JobsOption = Annotated[
    list[str] | None,
    typer.Option(metavar="MODULE", help="A module that declares jobs; may be repeated."),
]
EngineOption = Annotated[str | None, typer.Option(help="process, inline or ray.")]
RayOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="The Ray cluster of the engine ray.")
]
SlotsOption = Annotated[str | None, typer.Option(help="How many jobs run at once.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rescind {version('rescind')}")
        raise typer.Exit


@app.callback()
def _rescind(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """A durable job service whose cancel is kept."""


def settings(**arguments: Any) -> configuration.Settings:
    """The settings in force, given the arguments of a command."""
    return configuration.settings(configuration.load(arguments, os.environ))


@app.command(epilog="Example: rescind serve --jobs myproject.jobs --slots 4")
def serve(  # noqa: PLR0917 - typer turns each parameter into an option by name
    host: Annotated[str | None, typer.Option(help="The address to listen on.")] = None,
    port: Annotated[str | None, typer.Option(help="The port to listen on; 0: any.")] = None,
    database: DatabaseOption = None,
    jobs: JobsOption = None,
    engine: EngineOption = None,
    ray_address: RayOption = None,
    slots: SlotsOption = None,
    profile: Annotated[
        str | None, typer.Option(help="open, or vault for strict parity with Vault.")
    ] = None,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Run no jobs here.")] = False,
    first_administrator: Annotated[
        bool,
        typer.Option(
            "--first-administrator",
            help="Where there is no user yet, make one and print the password once.",
        ),
    ] = False,
    tls_certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="A certificate chain (PEM) for HTTPS.")
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="The certificate's private key (PEM).")
    ] = None,
) -> None:
    """Serve the API and the pages, and run jobs, until SIGTERM or Ctrl-C."""
    from rescind.cli import serving  # noqa: PLC0415 - other commands do not wait for all it needs

    with clear_errors():
        serving.serve(
            settings(
                host=host,
                port=port,
                database=database,
                jobs=jobs or None,
                engine=engine,
                ray_address=ray_address,
                slots=slots,
                profile=profile,
            ),
            run_worker=not no_worker,
            make_administrator=first_administrator,
            tls=serving.Tls(tls_certificate, tls_key),
        )


@app.command(epilog="Example: rescind worker --database postgresql://db/rescind --jobs my.jobs")
def worker(
    database: DatabaseOption = None,
    jobs: JobsOption = None,
    engine: EngineOption = None,
    ray_address: RayOption = None,
    slots: SlotsOption = None,
) -> None:
    """Run jobs from a PostgreSQL database that others serve, until SIGTERM or Ctrl-C."""
    from rescind.cli import serving  # noqa: PLC0415 - as above

    with clear_errors():
        serving.work(
            settings(
                database=database,
                jobs=jobs or None,
                engine=engine,
                ray_address=ray_address,
                slots=slots,
            )
        )


@app.command("config")
def show_config(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Print the settings in force and where each came from; never a password."""
    import msgspec  # noqa: PLC0415 - only this command needs it

    with clear_errors():
        found = configuration.load({}, os.environ)
    rows = [
        {
            "name": item.setting.name,
            "value": configuration.shown(item),
            "source": item.source,
            "variable": item.setting.variable,
            "help": item.setting.help,
        }
        for item in found
    ]
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(rows)).decode())
        return
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        typer.echo(f"{row['name']:{width}}  {row['value'] or '(none)'}  [{row['source']}]")


@database.command()
def migrate(database: DatabaseOption = None) -> None:
    """Bring the database to this version's schema, creating it if need be."""
    from rescind import databases  # noqa: PLC0415 - other commands do not wait for it

    with clear_errors():
        url = settings(database=database).database
        before, after = databases.migrate(url)
    shown = configuration.without_password(url)
    if before == after:
        typer.echo(f"{shown} is at schema version {after} already.")
    else:
        typer.echo(f"{shown}: schema version {before} -> {after}.")


@database.command()
def check(database: DatabaseOption = None) -> None:
    """Check that the database is whole and has this version's schema."""
    from rescind import databases  # noqa: PLC0415 - as above

    with clear_errors():
        url = settings(database=database).database
        problems = databases.check(url)
    shown = configuration.without_password(url)
    for problem in problems:
        typer.echo(f"{shown}: {problem}", err=True)
    if problems:
        raise typer.Exit(Exit.SCHEMA)
    typer.echo(f"{shown} is sound.")


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what was given may be no UTF-8
    logging.getLogger().addHandler(logging.NullHandler())  # libraries have no say here
    with clear_errors():
        app()
