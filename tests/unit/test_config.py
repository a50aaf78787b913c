"""Settings as environments make them."""

from pathlib import Path

import pytest

from rescind import config
from rescind.errors import ConfigurationError
from rescind.store.postgres.database import conninfo

NO_FILE = Path("/nonexistent/rescind.toml")
MADE = {
    "RESCIND_PORT": "tcp://10.96.0.17:8127",
    "RESCIND_PORT_8127_TCP": "tcp://10.96.0.17:8127",
    "RESCIND_PORT_8127_TCP_PROTO": "tcp",
    "RESCIND_PORT_8127_TCP_PORT": "8127",
    "RESCIND_PORT_8127_TCP_ADDR": "10.96.0.17",
    "RESCIND_SERVICE_HOST": "10.96.0.17",
    "RESCIND_SERVICE_PORT": "8127",
    "RESCIND_SERVICE_PORT_HTTP": "8127",
}
"""What Kubernetes puts into every pod beside a Service named rescind."""


def test_an_empty_variable_counts_as_unset() -> None:
    empty = {setting.variable: "" for setting in config.SETTINGS}
    assert config.load({}, empty) == config.load({}, {})
    assert config.load({}, {"RESCIND_NO_SUCH_SETTING": ""}) == config.load({}, {})


def test_what_kubernetes_makes_is_ignored() -> None:
    assert config.load({}, MADE) == config.load({}, {})
    assert config.made_by_kubernetes(MADE) == sorted(MADE)


def test_a_setting_beside_it_counts() -> None:
    environment = {**MADE, "RESCIND_PORT": "9000", "RESCIND_HOST": "0.0.0.0"}
    found = config.settings(config.load({}, environment))
    assert (found.port, found.host) == (9000, "0.0.0.0")


@pytest.mark.parametrize("name", ["RESCIND_SERVICE", "RESCIND_PORT_HTTP", "RESCIND_POTR"])
def test_other_names_that_are_no_setting_are_still_told(name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        config.load({}, {name: "1"})


SECRETS = [
    "postgresql://u:{}@h/db",
    "postgres://u:{}@h1:1,h2:2/db?user=a@b",
    "postgresql://u:{}@[::1]:5432/db",
    "postgresql://h/db?password={}",
    "postgresql://h/db?sslmode=require&sslpassword={}&user=x",
    "postgresql://h/db?pass%77ord={}",
    "postgresql://u:{}@h/db?options=-c%20a",
    "postgers://u:{}@h/db",
    "postgers://u:{}",
    "postgresql:/u:{}@h/db",
    "mysql://root:{}@h",
    "sqlite://u:{}@h",
    "u:{}@h/db",
    "host=h password={} dbname=x",
    "host=h password = '{}' dbname=x",
    "PASSWORD={}",
]


@pytest.mark.parametrize("url", SECRETS)
@pytest.mark.parametrize("odd", ["", "@", "/", "?", "#", ":", "%zz", "&", "@@:/", "&x=", "é"])
def test_no_password_is_shown_wherever_a_url_can_carry_it(url: str, odd: str) -> None:
    text = url.format(f"s3cr{odd}hush")
    shown = [config.without_password(text)]
    for name in ("RESCIND_DATABASE", "RESCIND_HOST", "RESCIND_PORT", "RESCIND_PUBLIC_NAME"):
        try:
            found = config.load({}, {name: text}, NO_FILE)
            shown += [config.shown(item) for item in found]
            database = config.settings(found).database
            if database.startswith("postgres"):
                conninfo(database)
        except ConfigurationError as error:
            shown += error.problems
    for one in shown:
        assert "s3cr" not in one, one
        assert "hush" not in one, one


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://h:5432/db?sslmode=require",
        "postgresql://u@h/db?host=/run/pg&user=a@b",
        "postgresql:///db?host=/run/pg",
        "sqlite:///x:y@z.db",
        "127.0.0.1",
        "::1",
        "localhost:80",
    ],
)
def test_what_holds_no_password_is_shown_as_it_is(url: str) -> None:
    assert config.without_password(url) == url
