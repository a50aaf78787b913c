"""Users and sessions, on SQLite."""

from typing import Any

from rescind import limits
from rescind.model import Session, User
from rescind.store import rows
from rescind.store.sqlite.statements import Statements, run, run_named


class Accounts(Statements):
    """See :class:`rescind.store.protocol.AccountStore`."""

    def add_user(self, name: str, password_hash: str, permissions: frozenset[str]) -> int | None:
        with self._database.write() as connection:
            user_id = run(
                connection,
                "add_user",
                name=name,
                password_hash=password_hash,
                permissions=rows.to_json(sorted(permissions)),
                now=self._now(),
            ).get
        return None if user_id is None else int(user_id)

    def users(self) -> list[User]:
        with self._database.read() as connection:
            return [rows.to_user(row) for row in run_named(connection, "users")]

    def user_by_name(self, name: str) -> tuple[User, str | None] | None:
        with self._database.read() as connection:
            row = next(run_named(connection, "user_by_name", name=name), None)
        return None if row is None else (rows.to_user(row), row["password_hash"])

    def set_active(self, user_id: int, active: bool) -> None:
        with self._database.write() as connection:
            run(connection, "set_active", user_id=user_id, active=active)
            if not active:
                run(connection, "close_sessions_of", user_id=user_id)

    def set_password(self, user_id: int, password_hash: str) -> None:
        with self._database.write() as connection:
            run(connection, "set_password", user_id=user_id, password_hash=password_hash)
            run(connection, "close_sessions_of", user_id=user_id)

    def open_session(self, user_id: int, id_hash: bytes, *, inactive_seconds: float) -> None:
        with self._database.write() as connection:
            run(connection, "forget_sessions", **self._bounds(inactive_seconds))
            run(connection, "open_session", user_id=user_id, id_hash=id_hash, now=self._now())

    def session(self, id_hash: bytes, *, inactive_seconds: float) -> Session | None:
        bounds = self._bounds(inactive_seconds)
        with self._database.read() as connection:
            row = next(run_named(connection, "session", id_hash=id_hash, **bounds), None)
        if row is None:
            return None
        return Session(user=rows.to_user(row), created_at=row["created_at"], seen_at=row["seen_at"])

    def touch_session(self, id_hash: bytes) -> None:
        with self._database.write() as connection:
            run(connection, "touch_session", id_hash=id_hash, now=self._now())

    def close_session(self, id_hash: bytes) -> None:
        with self._database.write() as connection:
            run(connection, "close_session", id_hash=id_hash)

    def _bounds(self, inactive_seconds: float) -> dict[str, Any]:
        """The instants that a living session was created and seen after."""
        now = self._now()
        slack = limits.SESSION_TOUCH_SECONDS
        return {
            "created_after": now - limits.SESSION_SECONDS_MAX * 1000,
            "seen_after": now - round((inactive_seconds + slack) * 1000),
        }
