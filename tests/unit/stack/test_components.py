"""What the components are given, beside what the stack tests see of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from testbed.componentnames import (
    COMPONENTS,
    CONSOLE,
    DATABASE,
    PIPELINE,
    TAKEN,
    component_of,
)
from testbed.componentsettings import ComponentSettings
from testbed.layout import RunLayout
from testbed.settings import Settings
from testbed.stack.components import ProgramComponent, stack_components
from testbed.stack.context import StackContext
from testbed.stack.environments import _retraining, telemetry_environment
from testbed.stack.ownalertmanager import SMTP
from testbed.targets import BundledApi
from testbed_drift.settings import ENV_PREFIX, read_settings


def _context(**settings: Any) -> StackContext:  # noqa: ANN401 - settings of many types
    management = ["127.0.0.1:9464", "127.0.0.1:9465"]
    made = SimpleNamespace(
        settings=Settings(**settings),
        factor=30.0,
        management=management,
        played=ComponentSettings(),
        layout=RunLayout(Path("/runs/one")),
    )
    return cast("StackContext", made)


def test_retraining_is_off_unless_somebody_wants_it() -> None:
    """A run's drift job neither trains nor asks the API anything."""
    assert _retraining(_context()) == {}


@pytest.mark.parametrize("wanted", ["builtin", "command notify me"])
def test_retraining_knows_every_replica_and_the_time_scale(wanted: str) -> None:
    """The job takes the variables, with each management port and a scaled cool-down."""
    given = _retraining(_context(drift_on_retrain=wanted))
    read = {name.removeprefix(ENV_PREFIX).lower(): value for name, value in given.items()}
    found = read_settings(log_url="sqlite://", artefact="model", **read)
    assert found.on_retrain == wanted
    assert found.management == ("http://127.0.0.1:9464", "http://127.0.0.1:9465")
    assert found.retrain_cooldown == 120.0
    assert found.management_token_file == Path("/runs/one/management-token")


@pytest.mark.parametrize(
    ("without", "endpoint"),
    [
        (frozenset[str](), "http://127.0.0.1:1/collector:4318"),
        (frozenset({"collector"}), "http://elsewhere:4318"),
    ],
)
def test_components_export_to_their_own_collector(
    monkeypatch: pytest.MonkeyPatch, without: frozenset[str], endpoint: str
) -> None:
    """Where there is one, whichever the caller's shell names; what else the caller sets counts."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere:4318")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=a")
    context = SimpleNamespace(
        target=BundledApi(),
        settings=Settings(),
        factor=30.0,
        trace_ratio=0.01,
        without=without,
        new_instance=lambda component: f"{component}-1",
        url=lambda address: f"http://127.0.0.1:1/{address}",
        gates={},
        endpoints={"collector:4318": "127.0.0.1:1"},
    )
    found = telemetry_environment(cast("StackContext", context), "api", "ml-api")
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == endpoint
    assert found["OTEL_TRACES_SAMPLER_ARG"] == "0.5"
    assert found["OTEL_BSP_SCHEDULE_DELAY"] == found["OTEL_BLRP_SCHEDULE_DELAY"] == "500"
    assert found["OTEL_RESOURCE_ATTRIBUTES"] == "team=a,service.instance.id=api-1"


@pytest.mark.parametrize(
    ("without", "web_ui", "shown"),
    [
        (frozenset[str](), True, True),
        (frozenset[str](), False, False),
        (frozenset({"evidently"}), True, False),
        (frozenset({"drift"}), True, False),
    ],
)
def test_evidently_is_there_where_it_has_runs_to_show(
    without: frozenset[str],
    web_ui: bool,  # noqa: FBT001 - a table
    shown: bool,  # noqa: FBT001 - a table
) -> None:
    """Only a stack for people has it, and only beside a drift job."""
    names = {
        component.name
        for component in stack_components(BundledApi().components(), without, web_ui=web_ui)
    }
    assert ("evidently" in names) is shown


def test_alertmanager_gets_no_credentials_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """SNS would send in the caller's name, or stumble over a bundle of certificates."""
    monkeypatch.setenv("AWS_PROFILE", "mine")
    (component,) = [
        each for each in stack_components(BundledApi().components()) if each.name == "alertmanager"
    ]
    assert isinstance(component, ProgramComponent)
    assert component.env(_context())["AWS_PROFILE"] == ""


@pytest.mark.parametrize("own", [True, False])
def test_the_receiver_takes_messages_only_where_routes_are_a_users_own(*, own: bool) -> None:
    """Nothing else sends any."""
    endpoints = {"receiver:9080": "127.0.0.1:1"} | ({SMTP: "127.0.0.1:2"} if own else {})
    context = cast("Any", _context())
    context.endpoints = endpoints
    context.port = lambda address: endpoints[address].rpartition(":")[2]
    (component,) = [
        each for each in stack_components(BundledApi().components()) if each.name == "receiver"
    ]
    assert isinstance(component, ProgramComponent)
    argv = component.argv(context)
    assert ("--messages" in argv) is own
    assert (argv[-2:] == ["--smtp-port", "2"]) is own


def test_the_names_of_the_components_are_those_that_are_started() -> None:
    """What faults, assertions and services go by is what the stack has, in its order."""
    target = BundledApi()
    alone = [component.name for component in stack_components(())]
    assert tuple(alone) == (*PIPELINE, CONSOLE)
    assert {target.name, *alone} == {*COMPONENTS, CONSOLE}
    shown = {each.name for each in stack_components(target.components(), web_ui=True)}
    assert shown | {"load", DATABASE} == TAKEN


def test_a_job_shows_its_component_under_the_name_of_another_system_too() -> None:
    """But for a service's own: all that no tool of the stack shows is the service's."""
    assert component_of("node-exporter") == component_of("node", "shop") == "node_exporter"
    assert component_of("fastapi") == component_of("ml-api") == "api"
    assert component_of("fastapi", "shop") == component_of("elsewhere", "shop") == "shop"
    assert component_of("elsewhere") == ""
