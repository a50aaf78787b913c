"""The API versions that are answered (Vault: three a year)."""

VERSIONS: tuple[str, ...] = tuple(
    f"v{year}.{third}" for year in range(21, 27) for third in (1, 2, 3)
)


def precedes(version: str, other: str) -> bool:
    """Whether ``version`` is older than ``other``; both are of :data:`VERSIONS`."""
    return VERSIONS.index(version) < VERSIONS.index(other)
