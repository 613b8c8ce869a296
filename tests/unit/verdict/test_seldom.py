"""Intervals of the configuration's source against the rules that they serve."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from testbed.checks.stages import Stage
from testbed.facts.rulehealth import RuleHealth
from testbed.facts.seldom import Seldom, read_seldom

from .conftest import World
from .test_rulehealth import health

FOLDERS = ("prometheus", "otel")


@pytest.fixture
def source(repository: Path, tmp_path: Path) -> Path:
    """A copy of the shipped configuration."""
    for name in FOLDERS:
        shutil.copytree(repository / name, tmp_path / name)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    """Replace a text that is there."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_shipped_intervals_are_short_enough(source: Path) -> None:
    """Whatever the time scale makes of them."""
    assert read_seldom(source) == Seldom()


def test_a_group_that_is_evaluated_less_often_than_its_tests(source: Path) -> None:
    """By an interval of its own, or by that of all."""
    change(
        source / "prometheus/rules/drift.yml",
        "- name: drift\n",
        "- name: drift\n    interval: 5m\n",
    )
    (line,) = read_seldom(source).evaluations
    assert line == "the rules of the group drift are evaluated every 5m, and tested at 15s"
    change(
        source / "prometheus/prometheus.yml", "evaluation_interval: 15s", "evaluation_interval: 1m"
    )
    groups = list((source / "prometheus/rules").glob("*.yml"))  # one a file
    assert len(read_seldom(source).evaluations) == len(groups)


def test_a_for_that_holds_too_few_scrapes(source: Path) -> None:
    """Of the jobs whose `up` rules look at."""
    change(source / "prometheus/prometheus.yml", "scrape_interval: 15s", "scrape_interval: 1m")
    found = read_seldom(source)
    assert not found.evaluations
    assert "ml-api is scraped every 1m, so that the `for` of APIDown, 1m, holds" in found.scrapes[0]


def test_a_collector_that_holds_points_back(source: Path) -> None:
    """For longer than the next ones take to come."""
    change(source / "otel/collector.yaml", "flush_timeout: 5s", "flush_timeout: 90s")
    lines = read_seldom(source).collector
    assert "otlp_http/prometheus holds points back for up to 1m30s" in lines[0]


@pytest.mark.parametrize(
    ("field", "stage"),
    [
        ("evaluations", Stage.RULE),
        ("scrapes", Stage.PROMETHEUS),
        ("collector", Stage.COLLECTOR),
    ],
)
def test_whose_interval_it_is_is_named(world: World, field: str, stage: Stage) -> None:
    """Rule, Prometheus or Collector."""
    world.run = {"export_interval": 0.5, "drift_interval": 10.0}
    facts = health()
    assert isinstance(facts, RuleHealth)
    world.rulehealth = facts.model_copy(update={"seldom": Seldom.model_validate({field: ("x",)})})
    (check,) = world.evaluate().failed
    assert (check.stage, check.summary) == (stage, "x")
