"""Users and sessions."""

from datetime import timedelta
from typing import Any

from rescind import limits
from rescind.model import Account, Session, User
from rescind.store.sql import rows
from rescind.store.sql.statements import Statements


class Accounts(Statements):
    """See :class:`rescind.store.protocol.AccountStore`."""

    def add_user(self, name: str, password_hash: str, permissions: frozenset[str]) -> int | None:
        with self._write() as transaction:
            added = transaction.rows(
                "add_user",
                name=name,
                password_hash=password_hash,
                permissions=sorted(permissions),
            )
        return added[0]["id"] if added else None

    def users(self) -> list[User]:
        with self._read() as transaction:
            return [rows.to_user(row) for row in transaction.rows("people")]

    def user_by_name(self, name: str) -> tuple[User, str | None] | None:
        with self._read_once() as transaction:
            found = transaction.rows("user_by_name", name=name)
        return (rows.to_user(found[0]), found[0]["password_hash"]) if found else None

    def set_active(self, user_id: int, active: bool) -> None:
        with self._write() as transaction:
            transaction.run("set_active", user_id=user_id, active=active)
            if not active:
                transaction.run("close_sessions_of", user_id=user_id)

    def set_password(self, user_id: int, password_hash: str) -> None:
        with self._write() as transaction:
            transaction.run("set_password", user_id=user_id, password_hash=password_hash)
            transaction.run("close_sessions_of", user_id=user_id)

    def rehash_password(self, user_id: int, old_hash: str, new_hash: str) -> bool:
        with self._write_once() as transaction:
            done = transaction.rows(
                "rehash_password", user_id=user_id, old_hash=old_hash, new_hash=new_hash
            )
        return bool(done)

    def open_session(self, user_id: int, id_hash: bytes, *, password_hash: str) -> bool:
        with self._write_once() as transaction:
            opened = transaction.rows(
                "open_session", user_id=user_id, id_hash=id_hash, password_hash=password_hash
            )
        return bool(opened)

    def session(self, id_hash: bytes, *, inactive_seconds: float) -> Session | None:
        with self._read_once() as transaction:
            found = transaction.rows("session", id_hash=id_hash, **_ages(inactive_seconds))
        if not found:
            return None
        row = found[0]
        return Session(user=rows.to_user(row), created_at=row["created_at"], seen_at=row["seen_at"])

    def touch_session(self, id_hash: bytes) -> None:
        with self._write_once() as transaction:
            transaction.run("touch_session", id_hash=id_hash)

    def close_session(self, id_hash: bytes) -> None:
        with self._write_once() as transaction:
            transaction.run("close_session", id_hash=id_hash)

    def account(self, user_id: int) -> Account:
        with self._read_once() as transaction:
            [row] = transaction.rows("account", user_id=user_id)
        return Account(**row)

    def prune_sessions(self, *, age_seconds: float, limit: int) -> int:
        with self._write_once() as transaction:
            age = timedelta(seconds=age_seconds)
            return len(transaction.rows("prune_sessions", age=age, limit=limit))


def _ages(inactive_seconds: float) -> dict[str, Any]:
    """How old a living session may be, and how long unused."""
    return {
        "age": timedelta(seconds=limits.SESSION_SECONDS_MAX),
        "inactivity": timedelta(seconds=inactive_seconds + limits.SESSION_TOUCH_SECONDS),
    }
