"""Hashes of passwords."""

from functools import cache

import argon2

from rescind import ids, limits

# One core for a fiftieth of a second: enough that nobody guesses, and so little that a hundred who
# try wrong ones hold nobody up (OWASP's Password Storage Cheat Sheet names these).
_hasher = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


@cache
def _nobodys() -> str:
    return _hasher.hash(ids.password())


def hashed(password: str) -> str:
    """A hash to keep."""
    return _hasher.hash(password)


def verify(password_hash: str | None, password: str) -> bool:
    """Whether this is the password; without a hash never, in the same time."""
    if len(password) > limits.PASSWORD_CHARACTERS_MAX:
        return False
    try:
        _hasher.verify(password_hash or _nobodys(), password)
    except argon2.exceptions.VerifyMismatchError:
        return False
    return password_hash is not None


def is_outdated(password_hash: str) -> bool:
    """Whether it was made with other parameters than are used now."""
    return _hasher.check_needs_rehash(password_hash)
