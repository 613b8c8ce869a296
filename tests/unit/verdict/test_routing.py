"""Where the routes lead the alerts that a run does not make fire."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from testbed.checks.routing import check_routing
from testbed.checks.stages import Stage
from testbed.facts.delivery import Delivery
from testbed.facts.routing import misrouted

from tests.support.yamltext import load_yaml

from .conftest import World

RULES = [
    {"alert": "Down", "expr": "up == 0", "labels": {"severity": "critical"}},
    {"alert": "Slow", "expr": "up == 1", "labels": {"severity": "warning"}},
    {"alert": "Beat", "expr": "vector(1)", "labels": {"severity": "none"}},
    {"alert": "Own", "expr": "up", "labels": {}},
]


@pytest.fixture
def document(repository: Path) -> Any:  # noqa: ANN401 - YAML
    """The shipped configuration of Alertmanager."""
    return load_yaml((repository / "alertmanager/alertmanager.yml").read_text())


def test_the_shipped_routes_are_sound(document: Any) -> None:  # noqa: ANN401 - YAML
    """An alert without severity may go anywhere."""
    assert misrouted(document, RULES) == ()


def test_a_matcher_that_fits_nothing_is_found(document: Any) -> None:  # noqa: ANN401 - YAML
    """The alert falls to the receiver of all others."""
    changed = deepcopy(document)
    changed["route"]["routes"][0]["matchers"] = ['severity="critcal"']
    assert misrouted(changed, RULES) == (
        "Down of severity critical would reach warning, not critical",
    )


def test_a_heartbeat_without_its_route_is_found(document: Any) -> None:  # noqa: ANN401 - YAML
    """It would be repeated as seldom as any warning."""
    changed = deepcopy(document)
    del changed["route"]["routes"][-1]
    assert misrouted(changed, RULES) == (
        "Beat of severity none would reach warning, not heartbeat",
    )


def test_a_further_receiver_is_found(document: Any) -> None:  # noqa: ANN401 - YAML
    """By `continue`."""
    changed = deepcopy(document)
    changed["route"]["routes"][0] |= {"matchers": ['severity=~".+"'], "continue": True}
    assert "Slow of severity warning would reach critical and warning, not warning" in misrouted(
        changed, RULES
    )


@pytest.mark.parametrize(
    ("lines", "failed"), [(None, []), ((), []), (("Down would reach nobody",), [Stage.ROUTE])]
)
def test_the_route_is_named(
    world: World, lines: tuple[str, ...] | None, failed: list[Stage]
) -> None:
    """Where it is known; runs with rules of the user's own have no such convention."""
    evidence = world.evidence()
    snapshot = evidence.snapshot.model_copy(update={"delivery": Delivery(misrouted=lines)})
    case = replace(world.case(), evidence=replace(evidence, snapshot=snapshot))
    results = check_routing(case)
    assert [result.stage for result in results if not result.passed] == failed
    assert bool(results) is (lines is not None)
