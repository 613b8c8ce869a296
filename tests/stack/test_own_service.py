"""A service that knows nothing of the testbed, from its own rules to the verdict."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .playing import QUICK, failed_checks, play

if TYPE_CHECKING:
    from tests.support.commandline import CommandLine

EXAMPLE = Path(__file__).parents[2] / "examples" / "flask-service"


@pytest.fixture
def example(command_line: CommandLine) -> Path:
    """A copy of the example, and a shell whose Python has Flask and prometheus_client."""
    command_line.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return Path(shutil.copytree(EXAMPLE, command_line.folder / "shop"))


def test_its_alert_fires_and_its_requests_are_counted(
    command_line: CommandLine, example: Path
) -> None:
    """What its stop takes along is named; what only the bundled API says is not applicable."""
    result = play(command_line, str(example / "scenario.yaml"), *QUICK)
    assert result.code == 0, result.output
    alerts = {row["alert"]: row["status"] for row in result.verdict["alerts"]}
    assert alerts == dict.fromkeys(("ShopDown", "ShopErrors", "Watchdog"), "detected")
    hops = {hop["key"]: hop for hop in result.verdict["hops"]}
    assert "api_log" not in hops
    (service, prometheus) = (hops["load_service"], hops["service_prometheus"])
    assert 0 < service["arrived"] == prometheus["sent"] == prometheus["arrived"] < service["sent"]
    labels = {c["name"]: c["summary"] for c in result.verdict["checks"]}["load labels"]
    assert "were posted to the service, which refused" in labels  # those of the time of its stop
    skipped = {c["name"] for c in result.verdict["checks"] if not c["applicable"]}
    assert {"measured", "content", "panel queries"} <= skipped
    assert result.verdict["drift"]["decision"] == "NO_ACTION"


def test_its_broken_alert_is_failed(command_line: CommandLine, example: Path) -> None:
    """By name, and blamed on the rule."""
    rules = example / "rules" / "shop.yml"
    rules.write_text(rules.read_text().replace('up{job="shop"} == 0', 'up{job="shop"} == 2'))
    result = play(command_line, str(example / "scenario.yaml"), *QUICK)
    assert result.code == 1, result.output
    assert "alert ShopDown in outage" in failed_checks(result)
    assert result.verdict["culprit"] == "rule"
