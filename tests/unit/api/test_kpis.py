"""Business figures: what decisions cost, counted as their labels come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed_api.log.kpis import Costs, CountingLog, DecisionCounter
from testbed_api.telemetry.accuracy import Accuracy
from testbed_domain.errors import DomainError
from testbed_domain.features import Kpi
from testbed_domain.logstore import PredictionLog, PredictionRow, open_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed_api.telemetry.instruments import Instruments
    from testbed_domain.artefact import Artefact
    from testbed_otel.sdk import Telemetry

KPIS = (
    Kpi("lost", "Missed.", ((0, 1, 500.0),)),
    Kpi("spent", "Offers.", ((1, 1, 50.0), (1, 0, 50.0))),
)


@pytest.fixture
def artefact(artefact: Artefact) -> Artefact:
    """A model whose decisions cost something."""
    return replace(artefact, schema=replace(artefact.schema, kpis=KPIS))


def _row(key: str, prediction: str, version: str = "v1") -> PredictionRow:
    return PredictionRow(key, 1.0, None, "api-0", "m", version, {}, prediction, 0.7, {})


def _cost(telemetry: Telemetry, kpi: str, version: str = "v1") -> float | None:
    labels = {"kpi": kpi, "model_version": version}
    return telemetry.registry.get_sample_value("ml_business_cost_total", labels)


def test_costs_follow_the_labels(artefact: Artefact, telemetry: Telemetry, tmp_path: Path) -> None:
    """Each pair costs what the schema says, once, under the version that decided."""
    costs = Costs(telemetry.meter("test"), artefact)
    assert (_cost(telemetry, "lost"), _cost(telemetry, "spent")) == (0, 0)
    log = _counting(open_log(f"sqlite:///{tmp_path}/log.db"), costs)
    log.append([_row("a", "0"), _row("b", "1"), _row("c", "1"), _row("d", "0"), _row("e", "0")])
    log.append([_row("f", "1", "v2")])
    predicted = [
        ("a", "1", 2.0),
        ("b", "1", 2.0),
        ("c", "0", 2.0),
        ("d", "0", 2.0),
        ("x", "1", 2.0),
    ]
    assert log.append_labels(predicted) == ["stored"] * 4 + ["unknown"]
    assert log.append_labels([("a", "1", 3.0), ("f", "0", 3.0)]) == ["duplicate", "stored"]
    log.close()
    assert (_cost(telemetry, "lost"), _cost(telemetry, "spent")) == (500, 100)
    assert (_cost(telemetry, "lost", "v2"), _cost(telemetry, "spent", "v2")) == (0, 50)


def test_a_use_case_without_figures_makes_no_series(
    artefact: Artefact, telemetry: Telemetry
) -> None:
    """Nothing is asked of the log, and nothing stands on /metrics."""
    schema = replace(artefact.schema, kpis=())
    costs = Costs(telemetry.meter("test"), replace(artefact, schema=schema))
    log = _counting(_BrokenLog(), costs)
    assert log.append_labels([("a", "1", 2.0)]) == ["stored"]
    assert _cost(telemetry, "lost") is None


def test_a_log_that_fails_late_costs_no_label(
    artefact: Artefact, telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    """The labels are stored, so their outcomes stand; one line says what was not counted."""
    log = _counting(_BrokenLog(), Costs(telemetry.meter("test"), artefact))
    assert log.append_labels([("a", "1", 2.0)]) == ["stored"]
    assert "1 decisions with labels are not counted: gone" in caplog.text
    assert _cost(telemetry, "lost") == 0


def test_accuracy_follows_the_labels(
    instruments: Instruments, telemetry: Telemetry, tmp_path: Path
) -> None:
    """Right and wrong decisions are counted per version, and their share is that of all so far."""
    log = _counting(open_log(f"sqlite:///{tmp_path}/log.db"), Accuracy(instruments))
    log.append([_row(key, "1") for key in "abcd"] + [_row("e", "0", "v2")])
    log.append_labels([("a", "1", 2.0), ("b", "0", 2.0), ("x", "1", 2.0)])
    log.append_labels([("a", "0", 3.0), ("c", "1", 3.0), ("d", "1", 3.0), ("e", "1", 3.0)])
    log.close()

    def value(name: str, **labels: str) -> float | None:
        return telemetry.registry.get_sample_value(name, labels)

    counts = [
        value("ml_decisions_evaluated_total", model_version=version, outcome=outcome)
        for version in ("v1", "v2")
        for outcome in ("correct", "wrong")
    ]
    assert counts == [3, 1, 0, 1]
    assert value("ml_model_accuracy", model_version="v1") == 0.75
    assert value("ml_model_accuracy", model_version="v2") == 0


def _counting(log: PredictionLog | _BrokenLog, counter: DecisionCounter) -> CountingLog:
    return CountingLog(log, log.decisions, counter)


class _BrokenLog:
    """Stores labels, and fails when asked for decisions."""

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> None:
        """See ``LogSink``."""

    def append_labels(self, items: Sequence[Any]) -> list[Any]:
        """See ``LogSink``."""
        return ["stored"] * len(items)

    def decisions(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """See ``LogSink``."""
        del ids
        raise DomainError("gone")

    def check(self) -> None:
        """See ``LogSink``."""

    def close(self) -> None:
        """See ``LogSink``."""
