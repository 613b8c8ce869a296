"""A stack that was started for a scenario must be recognised as such."""

from __future__ import annotations

from testbed.resources import find_scenario, root
from testbed.scenario import read_scenario
from testbed.scenarioenv import scenario_environment
from testbed.settings import Settings

from tests.support.yamltext import load_yaml


def test_the_stack_notes_all_that_a_scenario_needs() -> None:
    """Each variable that a scenario asks for reaches the container that notes them."""
    scenario = read_scenario(find_scenario("demo"))
    needed = scenario_environment(scenario, scenario.time_scale, Settings())
    document = load_yaml((root() / "docker-compose.yml").read_text("utf-8"))
    noted = document["services"]["configuration"]["environment"]
    assert set(needed) <= set(noted)
