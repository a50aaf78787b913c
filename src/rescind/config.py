"""The settings: one table of what can be set, where each value came from, every problem at once.

A value comes from the command line, else the environment (``RESCIND_…``), else ``rescind.toml``
in the working directory, else the default.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

from msgspec import Struct

from rescind import limits
from rescind.errors import ConfigurationError

CONFIG_FILE = Path("rescind.toml")


_ADDRESS = r"(\[[^\]@/?]*\]|[^:@/?,#\[\]]*)(:[0-9]*)?"
_POSTGRES = re.compile(
    rf"postgres(ql)?://([^:@/?#]*(:[^:@/?#]*)?@)?{_ADDRESS}(,{_ADDRESS})*(/[^@/?#]*)?(\?.*)?",
    re.DOTALL,
)
_PASSWORD = re.compile(r"(?<=://)([^:@/?#]*):[^:@/?#]*@")
_SECRET = re.compile(r"(?is)((?:password|secret|token)\s*=).*")
_NO_PORT = re.compile(r"(?is)^((?:[a-z][\w+.-]*:/+)?[^:/@]*:)(?![0-9]*(?:/|$)|:).*")
_NAME = re.compile(r"[a-z_]{3,}")


_ADDRESS_OR_NAME = re.compile(r"[A-Za-z0-9_.:%-]+")
_HOST = re.compile(r"\*|(\*\.)?[A-Za-z0-9_.-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


class Setting(NamedTuple):
    """One thing that can be set. ``parse`` turns text into the value or raises ValueError with
    the rest of a sentence.
    """

    name: str
    default: Any
    parse: Callable[[str], Any]
    help: str

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"RESCIND_{self.name.upper()}"


class Effective(NamedTuple):
    """A setting's value in force, and where it came from."""

    setting: Setting
    value: Any
    source: str


class Settings(Struct, frozen=True, kw_only=True):
    """The settings in force."""

    database: str
    host: str
    port: int
    jobs: tuple[str, ...]
    engine: str
    warm: str
    ray_address: str
    keeper_host: str | None
    keeper_port: int
    keeper_tls_certificate: Path | None
    keeper_tls_key: Path | None
    slots: int
    profile: str
    public_name: str | None
    allowed_hosts: tuple[str, ...]
    vault_id: int
    session_minutes: int
    drain_seconds: float
    lease_seconds: float
    retention_days: int
    query_seconds: float
    secure_cookies: bool


def _number(least: float, most: float, kind: type[int] | type[float] = int) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            noun = "a whole number" if kind is int else "a number"
            raise ValueError(f"must be {noun} from {least:g} to {most:g}")
        return value

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return parse


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _name(text: str) -> str:
    if not _ADDRESS_OR_NAME.fullmatch(text):
        raise ValueError("must be a host name or an address")
    return text


def _ray_address(text: str) -> str:
    if not text.isprintable() or not text.strip():
        raise ValueError("must be an address as ray.init takes it, such as 10.0.0.7:6379 or auto")
    return text.strip()


def _host(text: str) -> str:
    if "*" in text or not _HOST.fullmatch(text):
        raise ValueError("must be a host name, as `rescind.example`")
    return text


def _modules(text: str) -> tuple[str, ...]:
    names = _words(text)
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise ValueError("must be module names, as `myproject.jobs`")
    return names


def _hosts(text: str) -> tuple[str, ...]:
    for name in _words(text):
        if not _HOST.fullmatch(name):
            raise ValueError("must be host names, as `rescind.example` or `*.example`")
    return _words(text)


def _database(text: str) -> str:
    if text.startswith("sqlite:///") and len(text) > len("sqlite:///"):
        return text
    if _POSTGRES.fullmatch(text):
        return text
    if text.startswith(("postgresql://", "postgres://")):
        raise ValueError(
            "must be a libpq URI, in which @ / ? : # % of a user name or password are written as "
            "%40 %2F %3F %3A %23 %25"
        )
    raise ValueError(
        "must be sqlite:///relative.db, sqlite:////absolute.db or "
        "postgresql://user@host/name (any libpq URI)"
    )


def _truth(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise ValueError("must be true or false")
    return words[text.lower()]


SETTINGS: tuple[Setting, ...] = (
    Setting("database", "sqlite:///rescind.db", _database, "where everything is kept"),
    Setting("host", "127.0.0.1", _name, "the address to listen on"),
    Setting("port", 8127, _number(0, 65_535), "the port to listen on; 0: any free one"),
    Setting("jobs", (), _modules, "modules that declare jobs, separated by spaces or commas"),
    Setting("engine", "process", _one_of("process", "inline", "ray"), "where jobs run"),
    Setting(
        "warm",
        "auto",
        _one_of("auto", "fork", "fresh"),
        "import job modules once in each slot (fork), in every run (fresh), or as is safe (auto)",
    ),
    Setting(
        "ray_address",
        "auto",
        _ray_address,
        "the Ray cluster of the engine ray, as ray.init takes it",
    ),
    Setting(
        "keeper_host",
        None,
        _name,
        "where the nodes of a Ray cluster reach this worker; without it, where Ray knows its node",
    ),
    Setting("keeper_port", 0, _number(0, 65_535), "the port for that; 0: any free one"),
    Setting(
        "keeper_tls_certificate",
        None,
        Path,
        "a certificate (PEM): with it, nodes speak with this worker within TLS",
    ),
    Setting(
        "keeper_tls_key",
        None,
        Path,
        "its key (PEM), where that is not in the same file",
    ),
    Setting("slots", 2, _number(1, limits.SLOTS_MAX), "how many jobs run at once"),
    Setting("profile", "open", _one_of("open", "vault"), "how strictly to keep to Vault's API"),
    Setting("public_name", None, _host, "the host name clients know the service by"),
    Setting(
        "allowed_hosts",
        (),
        _hosts,
        "host names that are answered to, as `rescind.example` or `*.example`; without any: on a "
        "loopback address loopback names, on others all",
    ),
    Setting("vault_id", 1, _number(1, 2**31 - 1), "the id of the Vault that this service is"),
    Setting(
        "session_minutes",
        limits.SESSION_INACTIVE_SECONDS_DEFAULT // 60,
        _number(1, limits.SESSION_SECONDS_MAX // 60),
        "how long a session lives without being used",
    ),
    Setting(
        "drain_seconds",
        limits.DRAIN_SECONDS_DEFAULT,
        _number(0, 86_400, float),
        "how long jobs may go on after the service was told to stop",
    ),
    Setting(
        "lease_seconds",
        limits.LEASE_SECONDS_DEFAULT,
        _number(limits.LEASE_SECONDS_MIN, limits.LEASE_SECONDS_MAX, float),
        "how long a worker that is lost holds its jobs, on PostgreSQL",
    ),
    Setting(
        "retention_days",
        limits.RETENTION_DAYS_DEFAULT,
        _number(1, limits.RETENTION_DAYS_MAX),
        "how long finished jobs are kept, with their events and logs",
    ),
    Setting(
        "query_seconds",
        limits.QUERY_SECONDS_DEFAULT,
        _number(0.001, limits.QUERY_SECONDS_MAX, float),
        "how long a query may take before it is cancelled",
    ),
    Setting("secure_cookies", False, _truth, "send the pages' cookie over HTTPS only"),
)


def load(
    arguments: Mapping[str, Any],
    environment: Mapping[str, str],
    file: Path = CONFIG_FILE,
) -> list[Effective]:
    """Every setting with its value and source; ``arguments`` are those given (not None).

    Raises ConfigurationError naming every problem.
    """
    problems: list[str] = []
    ignored = made_by_kubernetes(environment)
    # Compose files make empty variables of what nobody has set.
    environment = {
        name: value for name, value in environment.items() if value and name not in ignored
    }
    in_file = _read_file(file, problems)
    found = [
        _effective(setting, arguments, environment, in_file, file, problems) for setting in SETTINGS
    ]
    names = {setting.name for setting in SETTINGS}
    problems += [
        f"{file}: there is no setting named {name!r}." for name in sorted(in_file.keys() - names)
    ]
    variables = {setting.variable for setting in SETTINGS} | OTHER_VARIABLES
    problems += [
        f"The environment variable {name} is not a setting."
        for name in sorted(environment)
        if name.startswith("RESCIND_") and name not in variables
    ]
    if problems:
        raise ConfigurationError(*problems)
    return found


OTHER_VARIABLES = frozenset({"RESCIND_URL", "RESCIND_USERNAME", "RESCIND_PASSWORD"})
"""Variables of the service's clients, which a shell may well hold too."""


_KUBERNETES = re.compile(
    r"RESCIND_SERVICE_(HOST|PORT(_\w+)?)|RESCIND_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?"
)
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://.*")


def made_by_kubernetes(environment: Mapping[str, str]) -> list[str]:
    """The variables that Kubernetes makes in every pod beside a Service named rescind: they are not
    meant for this program, whatever they are called.
    """
    return sorted(
        name
        for name, value in environment.items()
        if _KUBERNETES.fullmatch(name)
        or (name == "RESCIND_PORT" and _KUBERNETES_PORT.fullmatch(value))
    )


def settings(effective: Sequence[Effective]) -> Settings:
    """The values alone."""
    return Settings(**{item.setting.name: item.value for item in effective})


def shown(effective: Effective) -> str:
    """A value as people may see it: never a password."""
    if isinstance(effective.value, tuple):
        return " ".join(effective.value)
    return "" if effective.value is None else without_password(str(effective.value))


def without_password(text: str) -> str:
    """A URL, or what should be one, with whatever may be a password hidden: rather too much of it
    than too little.
    """
    if text.startswith("sqlite:///"):
        return text
    if _POSTGRES.fullmatch(text) is None:
        return _NO_PORT.sub(r"\1***", _SECRET.sub(r"\1***", text))
    head, mark, query = text.partition("?")
    return _PASSWORD.sub(r"\1:***@", head) + mark + "&".join(_without_secrets(query.split("&")))


def _without_secrets(parts: Sequence[str]) -> Iterator[str]:
    secret = False
    for part in parts:
        name, is_named, _ = part.partition("=")
        if secret and not (is_named and _NAME.fullmatch(name)):
            continue  # of a value that holds an ampersand
        secret = any(word in unquote(name).lower() for word in ("password", "secret", "token"))
        yield f"{name}=***" if secret else part


def sqlite_path(url: str) -> Path | None:
    """The file of a ``sqlite:///relative.db`` or ``sqlite:////absolute.db`` URL; None for the URL
    of another database.
    """
    prefix = "sqlite:///"
    return Path(url.removeprefix(prefix)) if url.startswith(prefix) else None


def _read_file(file: Path, problems: list[str]) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        problems.append(f"{file} cannot be read: {error}.")
        return {}


def _effective(
    setting: Setting,
    arguments: Mapping[str, Any],
    environment: Mapping[str, str],
    in_file: Mapping[str, Any],
    file: Path,
    problems: list[str],
) -> Effective:
    """The first place that sets it decides."""
    candidates = (
        (arguments.get(setting.name), f"--{setting.name.replace('_', '-')}"),
        (environment.get(setting.variable), setting.variable),
        (in_file.get(setting.name), str(file)),
    )
    for given, source in candidates:
        if given is None:
            continue
        is_list = isinstance(given, list | tuple) and isinstance(setting.default, tuple)
        text = " ".join(map(str, given)) if is_list else str(given)
        try:
            return Effective(setting, setting.parse(text), source)
        except ValueError as error:
            shown_text = without_password(text)
            problems.append(f"{source}: {setting.name} {error}, not {shown_text!r}.")
            break
    return Effective(setting, setting.default, "default")
