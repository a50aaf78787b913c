"""Which Host headers are answered. A page whose own name was made to lead here speaks for whoever
made it, and is not.
"""

import ipaddress
from fnmatch import fnmatchcase

from rescind.config import Settings


def hostname(host: str) -> str:
    """The name or address of a Host header, without its port, in lower case."""
    name = host.strip().lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0].removesuffix(".")


def is_loopback(name: str) -> bool:
    """Whether a name or address, without a port, leads to the machine that asks."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Hosts:
    """Bound to a loopback address: loopback names, the public name, and those that are set. Bound
    to any other: all, unless some are set; then those and the public name.
    """

    def __init__(self, settings: Settings) -> None:
        named = [*settings.allowed_hosts]
        if settings.public_name is not None:
            named.append(settings.public_name)
        self._allowed = [hostname(name) for name in named]
        self._loopback = is_loopback(settings.host)
        self._any = not self._loopback and not settings.allowed_hosts

    def allow(self, host: str) -> bool:
        """Whether a request with this Host header is answered."""
        if self._any:
            return True
        name = hostname(host)
        if self._loopback and is_loopback(name):
            return True
        return any(fnmatchcase(name, allowed) for allowed in self._allowed)
