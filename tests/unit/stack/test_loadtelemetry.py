"""Telemetry of the load: asked for by a setting, sent to the run's own Collector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from testbed.settings import Settings, load_settings
from testbed.stack.addresses import COLLECTOR_HTTP
from testbed.stack.components import locust_web_ui
from testbed.stack.loadtelemetry import load_sends, telemetry_options

if TYPE_CHECKING:
    from testbed.stack.context import StackContext

URL = "http://127.0.0.1:4318/intake"


@dataclass
class Context:
    """What of a stack's context is looked at."""

    settings: Settings
    without: frozenset[str] = frozenset()
    use_case: str = "diabetes"

    def __post_init__(self) -> None:
        self.endpoints = {COLLECTOR_HTTP: "127.0.0.1:4318"}
        self.layout = SimpleNamespace(model=Path("model"), logs=Path("logs"), root=Path())
        self.target = SimpleNamespace(
            exchange=lambda: None, load_url=lambda _: "http://api", variables=("TESTBED_SHOP_KEY",)
        )

    def url(self, _address: str) -> str:
        """With the id that the run demands."""
        return URL

    def port(self, _address: str) -> str:
        """Any."""
        return "8089"


def context(*, asked: bool, without: tuple[str, ...] = ()) -> StackContext:
    """A stack of which telemetry of the load is asked or not."""
    made = Context(Settings(load_telemetry=asked), frozenset(without))
    return cast("StackContext", made)


@pytest.mark.parametrize(
    ("asked", "without", "sends"),
    [(True, (), True), (False, (), False), (True, ("collector",), False)],
)
def test_the_load_sends_where_it_is_asked_and_somebody_takes_it(
    without: tuple[str, ...], *, asked: bool, sends: bool
) -> None:
    """The same of a run's load and of Locust's page."""
    made = context(asked=asked, without=without)
    assert load_sends(made) is sends
    assert telemetry_options(made) == (["--otlp-endpoint", URL] if sends else [])
    argv = locust_web_ui().request(made).argv
    assert (URL in argv) is sends


def test_the_page_gets_the_keys_of_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are called, and nothing else of the shell that sets components."""
    monkeypatch.setenv("TESTBED_SHOP_KEY", "k")
    monkeypatch.setenv("TESTBED_OTHER", "k")
    found = locust_web_ui().request(context(asked=False)).env
    assert found["TESTBED_SHOP_KEY"] == "k"
    assert "TESTBED_OTHER" not in found


def test_it_is_off_unless_the_environment_turns_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """As every setting."""
    assert not load_settings().load_telemetry
    monkeypatch.setenv("TESTBED_LOAD_TELEMETRY", "true")
    assert load_settings().load_telemetry
