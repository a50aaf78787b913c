"""Settings as environments make them."""

import pytest

from rescind import config
from rescind.errors import ConfigurationError

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
