"""Logging to a tracking server: what is logged, and that its failures are outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from testbed_domain.artefact import Artefact
from testbed_domain.features import Feature, FeatureSchema
from testbed_drift.evaluation.assessment import Assessor
from testbed_drift.evaluation.decision import Policy, decide
from testbed_drift.evaluation.results import RunFinding, RunResult
from testbed_drift.evaluation.segmentdrift import SegmentDrift
from testbed_drift.relations.study import Analyst
from testbed_drift.rows.extents import WindowSummary
from testbed_drift.rows.windows import WindowReader
from testbed_drift.storage.tracking import TrackedRun, Tracker, challenger_entry, run_entry
from testbed_otel import names

from tests.support import artefacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.logstore import Columns
    from testbed_drift.rows.columns import ColumnKind
    from testbed_drift.scoring.scores import DriftScores

KINDS: dict[str, ColumnKind] = {"size": "numeric", "colour": "category"}
SCHEMA = FeatureSchema(
    (
        Feature("size", "number", "A size."),
        Feature("colour", "category", "A colour.", categories=("red", "blue")),
    ),
    "good",
    (0, 1),
    1,
)


def _result(scores: DriftScores) -> RunResult:
    windows = WindowSummary("2024-01-31", 700, 700, 0, 10), WindowSummary("2024-02-29", 500, 9)
    finding = RunFinding(
        *windows, scores, decide(scores, Policy(0.25)), Path("a.json"), None, policy=Policy(0.25)
    )
    return RunResult("rf-1", "success", 100.0, 1.5, "line", finding)


def _challenger(path: Path) -> Artefact:
    schema = FeatureSchema((Feature("size", "number", "A size."),), "good", (0, 1), 1)
    return artefacts.described(
        path,
        schema,
        version="rf-2",
        seed=7,
        source={"kind": "labels"},
        sampling="newest rows",
        metrics={"accuracy": 0.9},
        splits={"train": 800},
    )


@dataclass
class FakeServer:
    """A tracking server that can fail, and counts how often it is asked."""

    error: Exception | None = None
    asked: int = 0
    entries: list[TrackedRun] = field(default_factory=list)

    def log(self, entry: TrackedRun) -> None:
        """Keep the entry, or fail."""
        self.asked += 1
        if self.error:
            raise self.error
        self.entries.append(entry)


@dataclass
class Bench:
    """A tracker with its server, its clock and the reader of its counter."""

    server: FakeServer
    reader: InMemoryMetricReader
    tracker: Tracker
    now: list[float]

    @property
    def counts(self) -> dict[Any, Any]:
        """Outcome to runs."""
        data = self.reader.get_metrics_data()
        assert data
        [metric] = data.resource_metrics[0].scope_metrics[0].metrics
        assert metric.name == names.TRACKING_RUNS.name
        points: list[Any] = list(metric.data.data_points)
        return {point.attributes["outcome"]: point.value for point in points}


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A tracker at 1,000 s whose server works."""
    reader, server, now = InMemoryMetricReader(), FakeServer(), [1000.0]
    provider = MeterProvider([reader])
    meter = provider.get_meter("test")
    yield Bench(server, reader, Tracker(lambda: server, meter, lambda: now[0], 60), now)
    provider.shutdown()


def test_run_is_logged_with_limits_scores_and_reports(
    scores_of: Callable[..., DriftScores],
) -> None:
    """Thresholds and windows are parameters, scores are metrics, the decision is a tag."""
    result = _result(scores_of(6))
    assert result.finding
    entry = run_entry(result, result.finding)
    assert (entry.name, entry.started, entry.ended) == ("2024-01-31 vs 2024-02-29", 100.0, 101.5)
    assert entry.params["alert_share"] == "0.25"
    assert entry.params["current/rows"] == "500"
    assert entry.params["reference/end"] == "10"
    assert "current/end" not in entry.params
    assert entry.params["threshold/x0/wasserstein"] == "0.1"
    assert entry.metrics["score/x0/wasserstein"] == 0.4
    assert (entry.metrics["drifted/x0"], entry.metrics["drifted/x9"]) == (1.0, 0.0)
    assert entry.metrics["drift_share"] == 0.6
    assert (entry.tags["kind"], entry.tags["decision"]) == ("drift", "RETRAIN")
    assert entry.files == (Path("a.json"),)


def test_segments_and_relations_are_logged(
    scores_of: Callable[..., DriftScores], columns_of: Callable[..., Columns]
) -> None:
    """What was found within them, before labels and after; one that was not scored has its rows."""
    reader = WindowReader("rf-1", KINDS, 100, 5000)
    reference, current = (
        reader.of_columns(columns_of(400, seed=seed), "rows", None).frame for seed in (1, 2)
    )
    labelled = replace(columns_of(300, seed=2), label=["1", *["0"] * 299], label_time=[], time=[])
    result = _result(scores_of(6))
    assert result.finding
    finding = replace(
        result.finding,
        segments=(
            SegmentDrift("colour=red", "scored", 250, 300, scores_of(2)),
            SegmentDrift("colour=blue", "insufficient_data", 9, 300),
        ),
        assessment=Assessor(SCHEMA, KINDS, "colour").assess(labelled, columns_of(300)),
        relations=Analyst(KINDS).study(reference, current, scores_of(0)),
    )
    entry = run_entry(replace(result, finding=finding), finding)
    assert entry.metrics["segment/colour_red/drift_share"] == 0.2
    assert entry.metrics["segment/colour_blue/rows"] == 9
    assert "segment/colour_blue/drift_share" not in entry.metrics
    assert finding.assessment
    for basis, segments in (
        ("realised", finding.assessment.segments),
        ("estimated", finding.assessment.estimates),
    ):
        scores = segments["colour=red"].scores
        assert scores
        assert (
            entry.metrics[f"segment/colour_red/performance/{basis}/accuracy"] == scores["accuracy"]
        )
    assert finding.relations
    _, comparison, _ = next(finding.relations.comparisons())
    method = comparison.effect.method
    assert entry.metrics[f"score/{method}"] == comparison.effect.value
    assert entry.params[f"threshold/{method}"] == f"{comparison.effect.threshold:g}"


def test_names_and_values_are_what_mlflow_takes(tmp_path: Path) -> None:
    """Odd characters are replaced, the first of two like names stays, NaN is left out."""
    scores = {"auc (über)": 0.5, "auc [über]": 0.6, "loss": math.nan}
    entry = challenger_entry(_challenger(tmp_path), scores, "kept", 5.0)
    assert entry.metrics == {"test/accuracy": 0.9, "auc __ber_": 0.5}
    assert entry.params["source/kind"] == "labels"
    assert entry.tags == {"kind": "challenger", "verdict": "kept", "model_version": "rf-2"}
    assert entry.files == (tmp_path,)


def test_outcomes_are_counted(bench: Bench, scores_of: Callable[..., DriftScores]) -> None:
    """A server that fails is left alone for the pause, then asked again."""
    result = _result(scores_of(0))
    assert bench.counts == {"logged": 0, "failed": 0, "skipped": 0}
    assert bench.tracker.log_run(result) == "logged"
    bench.server.error = ConnectionError("no route")
    assert bench.tracker.log_run(result) == "failed"
    bench.now[0] += 59
    assert bench.tracker.log_run(result) == "skipped"
    assert bench.server.asked == 2
    bench.server.error = None
    bench.now[0] += 1
    assert bench.tracker.log_run(result) == "logged"
    assert bench.counts == {"logged": 2, "failed": 1, "skipped": 1}


def test_challenger_is_logged_alike(bench: Bench, tmp_path: Path) -> None:
    """It takes the same way, with the time of the clock."""
    found = bench.tracker.log_challenger(_challenger(tmp_path), {"holdout": 0.8}, "promoted")
    assert found == "logged"
    [entry] = bench.server.entries
    assert (entry.started, entry.metrics["holdout"]) == (1000.0, 0.8)


def test_failure_is_one_line(
    bench: Bench, scores_of: Callable[..., DriftScores], caplog: pytest.LogCaptureFixture
) -> None:
    """It names the run and says what happens next."""
    bench.server.error = OSError("first line\nsecond line")
    bench.tracker.log_run(_result(scores_of(0)))
    [message] = caplog.messages
    assert "'2024-01-31 vs 2024-02-29' is not logged" in message
    assert message.endswith("left alone for 60 s: OSError: first line second line")


def test_nothing_to_log_asks_nobody(bench: Bench, scores_of: Callable[..., DriftScores]) -> None:
    """A run without a finding, and a job without a server, have no outcome."""
    empty = RunResult("rf-1", "insufficient_data", 1.0, 1.0, "too few")
    assert bench.tracker.log_run(empty) is None
    bench.tracker.connect = None
    assert bench.tracker.log_run(_result(scores_of(0))) is None
    assert bench.server.asked == 0
    assert bench.counts == {"logged": 0, "failed": 0, "skipped": 0}
