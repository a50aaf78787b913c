"""``rescind login`` and ``logout``."""

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from rescind.cli.exits import Exit
from rescind.cli.remote import UrlOption, leave, service, tell
from rescind.client import ClientError, kept


def login(
    username: Annotated[str | None, typer.Option("--username", "-u", help="Else it asks.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="The password is a line of standard input.")
    ] = False,
    url: UrlOption = None,
) -> None:
    """Sign in; the session is kept, readable by you alone."""
    if username is None or not password_stdin:
        _require_terminal()
    name = username or str(typer.prompt("User name", err=True))
    if password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    else:
        password = str(typer.prompt("Password", hide_input=True, err=True))
    with service(url, username=name, password=password) as client:
        address, session_id = client.url, client.sign_in()
    kept.keep(kept.KeptSession(url=address, username=name, session_id=session_id))
    tell(f"Signed in to {address} as {name}.")
    if os.environ.get("RESCIND_USERNAME"):
        tell("RESCIND_USERNAME is set, and goes before it.")


def logout() -> None:
    """End the session that is kept."""
    session = kept.load()
    if session is None:
        raise leave("nobody is signed in", Exit.NOT_PERMITTED)
    with service(session.url) as client, suppress(ClientError):
        client.sign_out()
    kept.forget()
    tell(f"Signed out of {session.url}.")


def _require_terminal() -> None:
    if not sys.stdin.isatty():
        raise leave(
            "there is no terminal to ask on: give --username, and the password with "
            "--password-stdin",
            Exit.USAGE,
        )
