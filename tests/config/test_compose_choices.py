"""What whoever starts Compose may set of the API: all that makes sense there, with its defaults."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testbed_api.errors import PREFIX
from testbed_api.settings import ApiSettings
from testbed_otel.settings import LOGS_EXPORTER, logs_wanted

from testbed import compose, composeown
from tests.support.yamltext import load_yaml

# What the containers' layout decides.
FIXED = {
    *("artefact", "host", "port", "management_host", "management_port", "log_url", "log_spool"),
    *("versions_file", "management_names", "management_token_file", "artefact_folders"),
    *("targets_folder", "keys_file"),  # of the keys, the file on the machine is a choice
}
# What needs a file or package that the image lacks, a second scrape target, or more time than
# Compose gives a container to end; and limits of slow clients, which nobody changes for a trial.
LEFT_OUT = {
    *("runtime", "model", "challenger", "split", "shadow", "socket"),
    *("replicas_file", "start"),
    *("shutdown_seconds", "linger_seconds", "head_seconds", "body_seconds", "fault_seed"),
    *("batch_body_limit", "stream_body_limit", "held_bodies_limit"),
    *("write_seconds", "connections_limit"),
}
Fill = Callable[..., ApiSettings]


@pytest.fixture
def environment(repository: Path) -> dict[str, str]:
    """The API's variables in the committed file."""
    model = load_yaml((repository / compose.FILE).read_text("utf-8"))
    found: dict[str, str] = model["services"]["api"]["environment"]
    return found


@pytest.fixture
def fill(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Settings of the API that Compose would give it, with these variables in ``.env``."""

    def load(**given: str) -> ApiSettings:
        def value(found: re.Match[str]) -> str:
            name, kind, text = found.groups()
            if kind == "+":
                return text if given.get(name) else ""
            return given.get(name) or text

        for key, text in environment.items():
            if key.startswith(PREFIX):
                monkeypatch.setenv(key, re.sub(r"\$\{(\w+):([-+])([^}]*)\}", value, text))
        return ApiSettings.load()

    return load


def test_every_setting_is_a_choice_or_has_its_reason() -> None:
    """A new setting of the API has to be thought of here."""
    choices = set(composeown.CHOICES)
    assert choices | FIXED | LEFT_OUT == set(ApiSettings.model_fields)
    assert not choices & (FIXED | LEFT_OUT)


def test_without_a_word_the_defaults_of_the_api_hold(fill: Fill) -> None:
    """Compose has no defaults of its own."""
    filled = fill()
    for name in composeown.CHOICES:
        assert getattr(filled, name) == ApiSettings.model_fields[name].default, name


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("access_log", "stdout", "stdout"),
        ("access_log", "none", None),
        ("log_format", "text", "text"),
        ("slow_seconds", "0.2", 0.2),
        ("log_failure", "spool", "spool"),
        ("log_retention_days", "30", 30.0),
        ("batching", "always", "always"),
        ("cache_size", "1000", 1000),
        ("faults_enabled", "true", True),
    ],
)
def test_a_word_in_the_environment_reaches_the_api(
    fill: Fill, name: str, value: str, expected: object
) -> None:
    """By the variable that the reference page names."""
    filled: Any = fill(**{f"{PREFIX}{name.upper()}": value})
    assert getattr(filled, name) == expected


def test_keys_are_a_file_of_the_machine(fill: Fill, repository: Path) -> None:
    """Which the API reads as a secret; without one it asks for no key."""
    assert fill().keys_file is None
    assert fill(TESTBED_API_KEYS_FILE="./keys").keys_file == Path("/run/secrets/api_keys")
    model = load_yaml((repository / compose.FILE).read_text("utf-8"))
    assert model["secrets"]["api_keys"] == {"file": "${TESTBED_API_KEYS_FILE:-/dev/null}"}


def test_logs_over_otlp_are_a_choice(environment: dict[str, str]) -> None:
    """They are off, as everywhere."""
    assert environment[LOGS_EXPORTER] == f"${{{LOGS_EXPORTER}:-none}}"
    assert not logs_wanted({LOGS_EXPORTER: "none"})


def test_spooled_rows_outlive_the_container(repository: Path) -> None:
    """The spool and the versions' roles lie in a volume, which belongs to the containers' user."""
    model = load_yaml((repository / compose.FILE).read_text("utf-8"))
    api = model["services"]["api"]
    folder = api["environment"][f"{PREFIX}LOG_SPOOL"]
    assert f"spool:{folder}" in api["volumes"]
    assert api["environment"][f"{PREFIX}VERSIONS_FILE"] == f"{folder}/versions.json"


def test_the_example_shows_the_defaults(repository: Path) -> None:
    """Whoever removes the comment sign of a line changes nothing yet."""
    example = (repository / ".env.example").read_text("utf-8")
    shown = dict(re.findall(r"(?m)^#(TESTBED_API_[A-Z_]+)=(.*)$", example))
    assert shown.pop(f"{PREFIX}KEYS_FILE") == ""
    assert (shown.pop(f"{PREFIX}MEMORY"), shown.pop(f"{PREFIX}CPUS")) == ("1g", "1.0")
    expected = {
        name: text.partition(":-")[2].rstrip("}") for name, text in composeown.choices().items()
    }
    expected[f"{PREFIX}ACCESS_LOG"] = "none"
    assert shown == expected
    drift = dict(re.findall(r"(?m)^#(TESTBED_DRIFT_[A-Z_]+)=(.*)$", example))
    assert drift.items() >= {
        (name, value) for name, value in composeown.DRIFT_CHOICES.items() if value
    }
