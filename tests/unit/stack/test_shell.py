"""A stack is the same whatever shell it is started from, and says what it leaves out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, cast

import pytest
from testbed.componentsettings import ComponentSettings
from testbed.driftplan import DriftPlan
from testbed.layout import RunLayout
from testbed.settings import Settings, trace_ratio
from testbed.stack import environments, shell
from testbed.targets import BundledApi
from testbed.targets.http import HttpService
from testbed_load.exchange import RequestTemplate

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.stack.context import StackContext

DISTURBING: Final = {
    "OTEL_METRIC_EXPORT_INTERVAL": "60000",
    "OTEL_METRIC_EXPORT_TIMEOUT": "1",
    "OTEL_SDK_DISABLED": "true",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://x",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "0.001",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_PROPAGATORS": "b3",
    "OTEL_TRACES_SAMPLER": "always_off",
    "OTEL_SERVICE_NAME": "mine",
    "OTEL_BSP_SCHEDULE_DELAY": "3600000",
    "OTEL_A_FUTURE_VARIABLE": "true",
    "TESTBED_API_PORT": "80",
    "TESTBED_API_KEYS_FILE": "keys.txt",
    "TESTBED_DRIFT_INTERVAL": "1000000",
    "TESTBED_TRACE_RATE": "1",
    "LOCUST_USERS": "1",
}


def _context(folder: Path) -> StackContext:
    made = SimpleNamespace(
        target=BundledApi(),
        settings=Settings(),
        factor=30.0,
        trace_ratio=0.01,
        without=frozenset[str](),
        logs=True,
        faults=True,
        replicas=1,
        log_url="none",
        api_log_url="none",
        drift_plan=cast("DriftPlan | None", None),
        layout=RunLayout(folder),
        played=ComponentSettings(),
        new_instance=lambda component: f"{component}-1",
        url=lambda address: f"http://127.0.0.1:1/{address}",
        port=lambda _address: "1",
        management=["127.0.0.1:9464"],
        gates={},
        endpoints={"collector:4318": "127.0.0.1:1"},
    )
    return cast("StackContext", made)


def _components(folder: Path) -> list[dict[str, str]]:
    context = _context(folder)
    own = (environments.api_environment(context), environments.drift_environment(context))
    base = environments.base_environment()
    base.pop("PYTEST_CURRENT_TEST", None)
    return [base | each for each in own]


def test_components_are_immune_to_the_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whatever it sets for other programs: API and drift job are started as without it."""
    plain = _components(tmp_path)
    ratio = trace_ratio(Settings())
    for name, value in DISTURBING.items():
        monkeypatch.setenv(name, value)
    assert _components(tmp_path) == plain
    assert trace_ratio(Settings()) == ratio
    assert environments.export_interval(30.0) == 0.5


def test_each_ignored_variable_is_named() -> None:
    """By its name, never by its value, which may be a secret."""
    environ = {**DISTURBING, "HOME": "/root", "OTEL_TRACES_SAMPLER_ARG": "0.5"}
    passed, left_out = shell.notes(environ)
    assert passed.endswith("OTEL_LOGS_EXPORTER, OTEL_TRACES_SAMPLER_ARG")
    named = set(left_out.partition("by itself: ")[2].split(", "))
    assert named == set(DISTURBING) - {"OTEL_LOGS_EXPORTER"}
    assert "keys.txt" not in left_out


@pytest.mark.parametrize(
    "environ",
    [
        {"HOME": "/root", "PATH": "/bin"},
        {"OTEL_SDK_DISABLED": " ", "TESTBED_API_PORT": ""},
        {"TESTBED_HOME": "x", "TESTBED_CACHE": "y", "testbed_trace_ratio": "1"},
        {"TESTBED_DRIFT_SEGMENT": "age", "TESTBED_DRIFT_RELATIONS_ROWS": "0"},
    ],
    ids=["none", "blank", "settings", "of the drift job"],
)
def test_nothing_is_said_of_what_counts(environ: dict[str, str]) -> None:
    """Settings are obeyed, blank variables are not set."""
    assert shell.notes(environ) == []


def test_keys_of_the_target_reach_the_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However they are called; no other component, and nothing is said of them."""
    headers = {"A": "${TESTBED_SHOP_KEY}", "B": "Bearer ${OTEL_SHOP} ${LOCUST_UNSET}"}
    shop = HttpService(command=("x",), request=RequestTemplate(headers=headers))
    assert shop.variables == ("TESTBED_SHOP_KEY", "OTEL_SHOP", "LOCUST_UNSET")
    keys = {"TESTBED_SHOP_KEY": "k", "OTEL_SHOP": "o"}
    for name, value in {**keys, "TESTBED_OTHER": "x"}.items():
        monkeypatch.setenv(name, value)
    context = _context(tmp_path)
    plain = environments.load_environment(context)
    context.target = shop
    assert environments.load_environment(context) == plain | keys
    assert not keys.keys() & plain.keys()
    assert not keys.keys() & environments.api_environment(context).keys()
    assert shell.notes(keys, asking=shop.variables) == []


def test_receiver_of_the_shell_counts_without_a_collector() -> None:
    """With all that reaches it, and no more."""
    receiver = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://elsewhere:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "key=1",
    }
    environ = {**receiver, "OTEL_SDK_DISABLED": "true"}
    assert shell.passed_on(environ, own_collector=False) == receiver
    assert shell.passed_on(environ) == {}
