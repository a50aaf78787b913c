"""``rescind user``: people and programs that may sign in."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from rescind import config as configuration
from rescind.cli.exits import clear_errors
from rescind.errors import ConfigurationError
from rescind.service.policy import Permission
from rescind.store.protocol import Store

users = typer.Typer(help="Users and their permissions.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(help="The user's name.")]
_Database = Annotated[
    str | None, typer.Option("--database", metavar="URL", help="Where everything is kept.")
]
_Stdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input, one line."),
]


@contextmanager
def _store(database: str | None) -> Iterator[Store]:
    from rescind import databases  # noqa: PLC0415 - other commands do not wait for it

    with clear_errors():
        found = configuration.load({"database": database}, os.environ)
        store = databases.open_store(configuration.settings(found).database)
        try:
            yield store
        finally:
            store.close()


@users.command(epilog="Example: rescind user add ci --password-stdin --permission jobs_create")
def add(
    name: _Name,
    password_stdin: _Stdin = False,
    permission: Annotated[
        list[Permission] | None,
        typer.Option(help="What the user may do; may be repeated. Without any: api_access."),
    ] = None,
    admin: Annotated[bool, typer.Option("--admin", help="May do everything.")] = False,
    database: _Database = None,
) -> None:
    """Add a user. Every permission includes api_access."""
    from rescind.service import accounts  # noqa: PLC0415 - as above

    granted = {Permission.API_ACCESS, *(permission or ()), *(Permission if admin else ())}
    with _store(database) as store:
        user_id = accounts.add_user(store, name, _password(password_stdin), granted)
    typer.echo(f"Added {name} (id {user_id}): {' '.join(sorted(granted))}")


@users.command("list")
def list_users(database: _Database = None) -> None:
    """List users, their state and permissions."""
    with _store(database) as store:
        for user in store.users():
            state = "active" if user.active else "disabled"
            typer.echo(f"{user.id}\t{user.name}\t{state}\t{' '.join(sorted(user.permissions))}")


@users.command()
def disable(name: _Name, database: _Database = None) -> None:
    """Let a user in no longer, and end their sessions."""
    from rescind.service import accounts  # noqa: PLC0415 - as above

    with _store(database) as store:
        accounts.set_active(store, name, active=False)
    typer.echo(f"Disabled {name}.")


@users.command()
def enable(name: _Name, database: _Database = None) -> None:
    """Let a disabled user in again."""
    from rescind.service import accounts  # noqa: PLC0415 - as above

    with _store(database) as store:
        accounts.set_active(store, name, active=True)
    typer.echo(f"Enabled {name}.")


@users.command()
def passwd(name: _Name, password_stdin: _Stdin = False, database: _Database = None) -> None:
    """Change a user's password, and end their sessions."""
    from rescind.service import accounts  # noqa: PLC0415 - as above

    with _store(database) as store:
        accounts.set_password(store, name, _password(password_stdin))
    typer.echo(f"Changed the password of {name}.")


def _password(from_stdin: bool) -> str:
    """One line of standard input, or what a person types twice."""
    if from_stdin:
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise ConfigurationError("The password on standard input is not UTF-8.") from None
    if not sys.stdin.isatty():
        raise ConfigurationError("Give the password on standard input with --password-stdin.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
