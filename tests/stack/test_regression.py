"""A model that predicts numbers, end to end: drift found, its cost estimated before labels."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from testbed.clients.prometheus import PrometheusClient

from tests.support.commandline import CommandLine
from tests.support.panels import panel_queries
from tests.support.polling import wait_for
from tests.support.shown import NUMBERS
from tests.support.typedpage import typed_in

from . import playing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


# The scenario may have to be played twice.
pytestmark = [pytest.mark.long, pytest.mark.timeout(1600)]


@pytest.fixture(scope="module")
def played(
    tmp_path_factory: pytest.TempPathFactory,
    tools: None,  # noqa: ARG001 - needed first
) -> Iterator[tuple[Path, str]]:
    """Play the scenario once and keep its stack; its folder and what was printed."""
    line = CommandLine(tmp_path_factory.mktemp("regression"))
    line.environment |= playing.NO_REPORTS
    _, scenario = typed_in("how-to/use-cases.md", "testbed run regression-drift")
    with playing.played(line, scenario) as (_, folder):
        yield folder, line.output
    wait_for(lambda: not line.left(), 15, "processes are left")


def test_the_scenario_passes(played: tuple[Path, str]) -> None:
    """Drift and the estimated error are notified, and nothing else fires."""
    folder, output = played
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["passed"], output
    notified = {one["alert"] for one in verdict["alerts"]}
    assert notified == {"DataDrift", "EstimatedErrorHigh", "Watchdog"}
    assert "measured accuracy is not applicable: the model predicts numbers" in output


def test_degradation_is_estimated_before_labels_within_its_error(
    played: tuple[Path, str],
) -> None:
    """The estimate rises with the drift, and is where the labels of that window will be."""
    folder, _ = played
    lines = (folder / "drift" / "runs.jsonl").read_text().splitlines()
    runs: list[dict[str, Any]] = [json.loads(line) for line in lines]
    found = [run["performance"] for run in runs if run["outcome"] == "success"]
    usual = found[-1]["reference"]["mae"]
    assert found[0]["estimated"]["mae"] < 1.05 * usual
    assert found[-1]["estimated"]["mae"] > 1.1 * usual
    for one in found:
        estimate, realised = one["estimated"], one["realised"]
        if realised["labels"]:
            missed = abs(estimate["mae"] - realised["mae"])
            assert missed <= 2 * estimate["standard_error"]


def test_the_panels_of_numbers_show_data(played: tuple[Path, str]) -> None:
    """Those that a classifier leaves empty."""
    folder, _ = played
    run = json.loads((folder / "run.json").read_text())
    times = json.loads((folder / "verdict.json").read_text())
    address = f"http://{run['endpoints']['prometheus:9090']}/{run['intake']}"
    queries = [query for query in panel_queries(5) if NUMBERS.search(query.expr)]
    assert len(queries) >= 8
    with PrometheusClient(address) as client:
        for query in queries:
            series = client.query_range(
                query.expr, start=times["started_at"], end=times["ended_at"], step=1.0
            )
            values = [value for each in series for _, value in each.points]
            assert any(math.isfinite(value) for value in values), query.expr
