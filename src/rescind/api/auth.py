"""Handlers of the session routes (Vault: Authentication)."""

import re
from collections.abc import Mapping

from rescind.api.forms import parse_form
from rescind.api.http import Answer, Context, Request
from rescind.api.versions import VERSIONS
from rescind.errors import RequestRefused
from rescind.service import accounts
from rescind.service import sign_in as signing_in
from rescind.service.sign_in import Asked, SignedIn
from rescind.wire import envelope
from rescind.wire.dates import format_instant
from rescind.wire.text import invalid

_CREDENTIALS = frozenset({"username", "password"})
_IN_THE_ADDRESS = (
    "User name and password belong in the body of the request, as a form: an address is written "
    "to logs on its way. Nobody was signed in."
)
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,253})(:[0-9]{1,5})?")


def sign_in(context: Context, request: Request) -> Answer:
    """Open a session; a form, or multipart, with username, password and maybe vaultDNS."""
    content_type = request.headers.get("content-type")
    try:
        if not _CREDENTIALS.isdisjoint(request.query):
            raise invalid(_IN_THE_ADDRESS)
        form = parse_form(request.body, content_type) if request.body or content_type else {}
        signed_in = signed_in_by(context, request, form)
    except RequestRefused as refusal:
        return Answer(
            payload=envelope.auth_failure(refusal.error_type, refusal.message),
            delay_seconds=refusal.delay_seconds,
        )
    vault_id = context.settings.vault_id
    typed = form.get("vaultDNS", "")
    host = typed if _HOST.fullmatch(typed) else _host(context, request)
    return Answer(
        payload=envelope.success(
            sessionId=signed_in.session_id,
            userId=signed_in.user.id,
            vaultIds=[{"id": vault_id, "name": "Rescind", "url": f"https://{host}/api"}],
            vaultId=vault_id,
        ),
        delay_seconds=signed_in.delay_seconds,
    )


def signed_in_by(context: Context, request: Request, form: Mapping[str, str]) -> SignedIn:
    """Sign in by the fields ``username`` and ``password``; raises as :func:`sign_in` of the
    service does.
    """
    asked = Asked(
        name=form.get("username", ""),
        password=form.get("password", ""),
        client=request.client,
        elapsed=context.clock.elapsed(),
    )
    return signing_in.sign_in(context.store, context.profile, context.sign_ins, asked)


def me(context: Context, request: Request) -> Answer:
    """Vault: Validate Session User. What Rescind does not know of people is left out."""
    user = request.signed_in.user
    account = context.store.account(user.id)
    known = {
        "user_name__v": user.name,
        "active__v": user.active,
        "id": user.id,
        "created_date__v": format_instant(account.created_at),
    }
    return Answer(payload=envelope.success(users=[{"user": known}]))


def keep_alive(context: Context, request: Request) -> Answer:
    """Count the session as used."""
    accounts.keep_alive(context.store, request.session_id or "")
    return Answer(payload=envelope.success())


def sign_out(context: Context, request: Request) -> Answer:
    """End this session."""
    accounts.sign_out(context.store, request.session_id or "")
    return Answer(payload=envelope.success())


def versions(context: Context, request: Request) -> Answer:
    """Every published version and its address. Clients compare these with what they connect to,
    and connect by HTTPS: that is what is in front of the service for them.
    """
    host = _host(context, request)
    addresses = {version: f"https://{host}/api/{version}" for version in VERSIONS}
    return Answer(payload=envelope.success(values=addresses))


def _host(context: Context, request: Request) -> str:
    return context.settings.public_name or request.host
