"""Publishing: what a collector of metrics sees after runs of the job."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, NumberDataPoint
from testbed_drift.evaluation.decision import Action, Cause, Policy, decide
from testbed_drift.evaluation.results import Outcome, RunFinding, RunResult
from testbed_drift.evaluation.segmentdrift import SegmentDrift
from testbed_drift.publishing.gauges import Publisher, remembered
from testbed_drift.quality.trial import Retraining, Trial
from testbed_drift.rows.columns import PREDICTION
from testbed_drift.rows.extents import Extent, WindowSummary
from testbed_drift.scoring.scores import ColumnDrift, ColumnScore, Comparison, DriftScores
from testbed_drift.storage.memory import Memory, Vote
from testbed_drift.storage.reports import STATE_FILE, ReportStore
from testbed_otel import names
from testbed_otel.children import SERIES_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_otel.names import Metric

Points = dict[tuple[tuple[str, Any], ...], float]


def _result(outcome: Outcome, started: float, scores: DriftScores | None = None) -> RunResult:
    finding = None
    if scores:
        windows = WindowSummary("reference", 768, 768), WindowSummary("now", 500, 100, 0, 60, 59)
        decision = decide(scores, Policy())
        segments = (SegmentDrift("shop=a", "scored", 500, 768, scores),)
        finding = RunFinding(*windows, scores, decision, Path("a.json"), None, segments=segments)
    return RunResult("v1", outcome, started, 1.5, "message", finding)


class Collected:
    """A publisher with the reader that collects from it."""

    def __init__(self, state: ReportStore | None = None, version: str = "v1") -> None:
        self._reader = InMemoryMetricReader()
        self._provider = MeterProvider([self._reader])
        meter = self._provider.get_meter("test")
        columns = [f"x{number}" for number in range(10)]
        fixed = {names.DRIFT_ROWS_NEEDED: 200.0, names.CALIBRATION_TIME: 1e9}
        self.publisher = Publisher(meter, version, columns, state, fixed)

    def close(self) -> None:
        """End the provider."""
        self._provider.shutdown()

    def all(self) -> dict[str, Points]:
        """Metric name to points, by sorted attributes."""
        data = self._reader.get_metrics_data()
        assert data
        return {
            metric.name: {
                tuple(sorted((point.attributes or {}).items())): point.value
                for point in metric.data.data_points
                if isinstance(point, NumberDataPoint)
            }
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self, metric: Metric) -> Points:
        """Points of one metric."""
        return self.all().get(metric.name, {})


@pytest.fixture
def collected() -> Iterator[Collected]:
    """A publisher with an in-memory reader."""
    made = Collected()
    yield made
    made.close()


def _by(metric: Metric, points: Points, attribute: str) -> dict[str, float]:
    assert all(set(dict(key)) <= set(metric.attributes) for key in points)
    return {dict(key)[attribute]: value for key, value in points.items()}


def test_every_outcome_counts_from_zero(collected: Collected) -> None:
    """The counters exist before the first run, so that the first run is an increase."""
    runs = _by(names.DRIFT_RUNS, collected.points(names.DRIFT_RUNS), names.OUTCOME)
    assert runs == {"success": 0, "insufficient_data": 0, "error": 0}


@pytest.mark.slow
def test_series_beyond_the_limit_stay_at_home(
    collected: Collected, scores_of: Callable[..., DriftScores], caplog: pytest.LogCaptureFixture
) -> None:
    """The first segments, which say most, keep their series; that others are cut is said once."""
    result = _result("success", 100.0, scores_of(1))
    assert result.finding
    many = tuple(SegmentDrift(f"s{place:04}", "scored", 9, 9, scores_of(0)) for place in range(150))
    for _ in range(2):
        collected.publisher.publish(replace(result, finding=replace(result.finding, segments=many)))
        points = collected.points(names.DRIFT_SEGMENT_SCORE)
    segments = {dict(key)[names.SEGMENT] for key in points}
    assert len(points) == SERIES_LIMIT
    assert segments == {f"s{place:04}" for place in range(100)}
    assert len(collected.points(names.DRIFT_SEGMENT_RATIO)) == 150
    assert caplog.text.count("3000 series; 2000 are sent") == 1


def test_success_publishes_all_of_the_vocabulary(
    collected: Collected, scores_of: Callable[..., DriftScores]
) -> None:
    """After a successful run every metric of the drift package has points of the right model."""
    collected.publisher.publish(_result("success", 100.0, scores_of(4, target=True)))
    found = collected.all()
    wanted = {
        metric.name
        for metric in names.METRICS
        if metric.name.startswith(("ml.data_drift", "ml.drift", "ml.target", "ml.prediction_drift"))
        and metric is not names.DRIFT_VERSION_STATE  # of the versions beside the job's own
    }
    elsewhere = {names.DRIFT_VERSION_STATE.name, names.DRIFT_SEGMENT_DECISION.name}
    assert set(found) == (wanted - elsewhere) | {names.RETRAINING_RUNS.name}
    ratio = collected.points(names.DRIFT_RATIO)
    assert ratio == {((names.MODEL_VERSION, "v1"),): 0.4}
    assert set(collected.points(names.DRIFT_RATIO_THRESHOLD).values()) == {0.3}
    detected = collected.points(names.DRIFT_COLUMN_DETECTED)
    assert sum(_by(names.DRIFT_COLUMN_DETECTED, detected, names.COLUMN).values()) == 4
    decision = _by(names.DRIFT_DECISION, collected.points(names.DRIFT_DECISION), names.DECISION)
    assert decision == {"NO_ACTION": 0, "ALERT": 0, "RETRAIN": 1}
    causes = _by(names.DRIFT_CAUSE, collected.points(names.DRIFT_CAUSE), names.CAUSE)
    assert causes == {
        "columns": 1,
        "prediction": 0,
        "target": 1,
        "concept": 0,
        "relations": 0,
        "data": 0,
    }
    target = _by(names.TARGET_DRIFT, collected.points(names.TARGET_DRIFT), names.METHOD)
    assert target == {"ks": 1e-6, "wasserstein": 0.4}
    rows = _by(names.DRIFT_WINDOW_ROWS, collected.points(names.DRIFT_WINDOW_ROWS), names.WINDOW)
    assert rows == {"reference": 768, "current": 500}
    newest = collected.points(names.DRIFT_WINDOW_NEWEST)
    assert _by(names.DRIFT_WINDOW_NEWEST, newest, names.WINDOW) == {"current": 59}
    limits = collected.points(names.TARGET_DRIFT_THRESHOLD)
    assert _by(names.TARGET_DRIFT_THRESHOLD, limits, names.METHOD) == {
        "ks": 0.01,
        "wasserstein": 0.1,
    }
    assert list(collected.points(names.TARGET_DRIFT_DETECTED).values()) == [1]
    assert list(collected.points(names.PREDICTION_DRIFT_DETECTED).values()) == [0]
    assert len(collected.points(names.DRIFT_COLUMN_SCORE)) == 20
    assert len(collected.points(names.DRIFT_COLUMN_THRESHOLD)) == 20


def test_detections_add_up(collected: Collected, scores_of: Callable[..., DriftScores]) -> None:
    """Each column counts its drifted windows, from 0 on."""
    before = _by(names.DRIFT_DETECTIONS, collected.points(names.DRIFT_DETECTIONS), names.COLUMN)
    assert before == {f"x{number}": 0 for number in range(10)}
    for drifted in (2, 0, 1):
        collected.publisher.publish(_result("success", 100.0, scores_of(drifted)))
    after = _by(names.DRIFT_DETECTIONS, collected.points(names.DRIFT_DETECTIONS), names.COLUMN)
    assert (after["x0"], after["x1"], after["x2"]) == (2, 1, 0)


def test_window_that_is_evaluated_again_is_one_window(
    collected: Collected, scores_of: Callable[..., DriftScores]
) -> None:
    """Where only labels are new, values are published anew, and no drifted window is counted."""
    for fresh in (True, False):
        result = _result("success", 100.0, scores_of(2))
        assert result.finding
        collected.publisher.publish(replace(result, finding=replace(result.finding, fresh=fresh)))
    points = collected.points(names.DRIFT_DETECTIONS)
    assert _by(names.DRIFT_DETECTIONS, points, names.COLUMN)["x0"] == 1
    runs = _by(names.DRIFT_RUNS, collected.points(names.DRIFT_RUNS), names.OUTCOME)
    assert runs["success"] == 2


def test_training_is_published_and_counted_once(collected: Collected) -> None:
    """Both scores, and one more run of its outcome; what another process counted only shows."""
    trial = Trial(300, {"accuracy": 0.7, "log_loss": 0.6}, {"accuracy": 0.8}, 0.001)
    found = Retraining("promoted", "better", "v1", 100.0, 2.0, "v2", trial)
    collected.publisher.retrained(found, before=True)
    runs = _by(names.RETRAINING_RUNS, collected.points(names.RETRAINING_RUNS), names.OUTCOME)
    assert set(runs.values()) == {0}
    collected.publisher.retrained(found)
    runs = _by(names.RETRAINING_RUNS, collected.points(names.RETRAINING_RUNS), names.OUTCOME)
    assert runs == {"promoted": 1, "kept": 0, "too_few_rows": 0, "called": 0, "failed": 0}
    assert collected.points(names.RETRAINING_SCORE) == {
        ((names.ROLE, "champion"), (names.SCORE, "accuracy")): 0.7,
        ((names.ROLE, "champion"), (names.SCORE, "log_loss")): 0.6,
        ((names.ROLE, "challenger"), (names.SCORE, "accuracy")): 0.8,
    }
    assert list(collected.points(names.RETRAINING_TIME).values()) == [102.0]


def test_outcome_of_the_last_training_stands_until_the_next(collected: Collected) -> None:
    """One outcome is 1 for the champion that it was for; another training takes its place."""
    collected.publisher.retrained(Retraining("failed", "no disk", "v1", 100.0), before=True)
    states = collected.points(names.RETRAINING_STATE)
    assert set(_by(names.RETRAINING_STATE, states, names.MODEL_VERSION)) == {"v1"}
    assert _by(names.RETRAINING_STATE, states, names.OUTCOME) == {
        "promoted": 0, "kept": 0, "too_few_rows": 0, "called": 0, "failed": 1,
    }  # fmt: skip
    collected.publisher.retrained(Retraining("kept", "no better", "v2", 200.0))
    states = collected.points(names.RETRAINING_STATE)
    assert states[(names.MODEL_VERSION, "v2"), (names.OUTCOME, "kept")] == 1
    assert len(states) == 5


def test_next_champion_starts_without_values(
    collected: Collected, scores_of: Callable[..., DriftScores]
) -> None:
    """What was found of the old model ends; the new one's columns count from 0."""
    collected.publisher.publish(_result("success", 100.0, scores_of(4)))
    collected.publisher.follow("v2", {names.DRIFT_ROWS_NEEDED: 300.0})
    assert not collected.points(names.DRIFT_RATIO)
    assert collected.points(names.DRIFT_ROWS_NEEDED) == {((names.MODEL_VERSION, "v2"),): 300.0}
    counted = collected.points(names.DRIFT_DETECTIONS)
    assert counted[(names.COLUMN, "x0"), (names.MODEL_VERSION, "v2")] == 0
    assert counted[(names.COLUMN, "x0"), (names.MODEL_VERSION, "v1")] == 1


def test_what_holds_for_the_model_is_there_before_the_first_run(collected: Collected) -> None:
    """The rows that a window needs and the calibration's time don't wait for a window."""
    assert list(collected.points(names.DRIFT_ROWS_NEEDED).values()) == [200.0]
    assert list(collected.points(names.CALIBRATION_TIME).values()) == [1e9]


def test_times_report_outcomes_apart(
    collected: Collected, scores_of: Callable[..., DriftScores]
) -> None:
    """Each outcome keeps the time of its last run; an error is no completed run."""
    collected.publisher.publish(_result("success", 100.0, scores_of(0)))
    collected.publisher.publish(_result("insufficient_data", 200.0))
    collected.publisher.publish(_result("error", 300.0))
    collected.publisher.publish(_result("error", 400.0))
    last = _by(names.DRIFT_LAST_RUN, collected.points(names.DRIFT_LAST_RUN), names.OUTCOME)
    assert last == {"success": 101.5, "insufficient_data": 201.5, "error": 401.5}
    assert list(collected.points(names.DRIFT_LAST_COMPLETED).values()) == [201.5]
    assert list(collected.points(names.DRIFT_RUN_DURATION).values()) == [1.5]
    runs = _by(names.DRIFT_RUNS, collected.points(names.DRIFT_RUNS), names.OUTCOME)
    assert runs == {"success": 1, "insufficient_data": 1, "error": 2}


def test_last_decision_stands_when_a_run_has_none(
    collected: Collected, scores_of: Callable[..., DriftScores]
) -> None:
    """Scores are exported again and again until a run has new ones."""
    collected.publisher.publish(_result("success", 100.0, scores_of(4)))
    collected.publisher.publish(_result("insufficient_data", 200.0))
    for _ in range(2):
        assert list(collected.points(names.DRIFT_RATIO).values()) == [0.4]


def test_series_that_ended_are_gone(
    collected: Collected, scores_of: Callable[..., DriftScores]
) -> None:
    """When labels stop, the target's score does not stand still; NaN is never sent."""
    collected.publisher.publish(_result("success", 100.0, scores_of(0)))
    assert collected.points(names.TARGET_DRIFT)
    broken = Comparison(
        ColumnScore("ks", float("nan"), 0.01, "p_value"),
        ColumnScore("wasserstein", 0.2, 0.1, "distance"),
    )
    scores = DriftScores((), ColumnDrift(PREDICTION, (broken,)), None)
    collected.publisher.publish(_result("success", 200.0, scores))
    assert not collected.points(names.TARGET_DRIFT)
    assert list(collected.points(names.PREDICTION_DRIFT).values()) == [0.2]


def test_new_process_carries_on_with_the_last_values(
    tmp_path: Path, scores_of: Callable[..., DriftScores]
) -> None:
    """What one process published last, the next one publishes until it has found more."""
    first = Collected(ReportStore(tmp_path))
    first.publisher.publish(_result("success", 100.0, scores_of(4, target=True)))
    before = first.all()
    first.close()
    second = Collected(ReportStore(tmp_path))
    second.publisher.publish(_result("insufficient_data", 200.0))
    after = second.all()
    for metric in (names.DRIFT_RATIO, names.DRIFT_DECISION, names.DRIFT_COLUMN_SCORE):
        assert before[metric.name]
        assert after[metric.name] == before[metric.name]
    second.publisher.publish(_result("success", 300.0, scores_of(0)))
    assert list(second.points(names.DRIFT_RATIO).values()) == [0.0]
    second.close()


def test_new_process_knows_how_old_the_values_are(
    tmp_path: Path, scores_of: Callable[..., DriftScores]
) -> None:
    """Times of the last runs carry on too, or the age of a value could not be reported."""
    first = Collected(ReportStore(tmp_path))
    first.publisher.publish(_result("success", 100.0, scores_of(4)))
    first.close()
    second = Collected(ReportStore(tmp_path))
    second.publisher.publish(_result("error", 200.0))
    last = _by(names.DRIFT_LAST_RUN, second.points(names.DRIFT_LAST_RUN), names.OUTCOME)
    assert last == {"success": 101.5, "error": 201.5}
    assert list(second.points(names.DRIFT_LAST_COMPLETED).values()) == [101.5]
    second.close()


def test_memory_is_kept_with_the_values(
    tmp_path: Path, scores_of: Callable[..., DriftScores]
) -> None:
    """One write holds values, memory and the line of the run, so that they can't disagree."""
    made, store = Collected(ReportStore(tmp_path)), ReportStore(tmp_path)
    memory = Memory(Extent(5.0, 3, 4.0), (Vote(5.0, Action.ALERT, (Cause.CONCEPT,)),))
    result = _result("success", 100.0, scores_of(4))
    made.publisher.publish(result, memory)
    made.close()
    state = store.read_state()
    assert Memory.from_dict(remembered(state, "v1")) == memory
    assert remembered(state, "v2") == {}
    assert state["record"] == json.loads(json.dumps(result.record()))


def test_values_of_another_model_are_left_alone(
    tmp_path: Path, scores_of: Callable[..., DriftScores]
) -> None:
    """A job for a new model version begins without values."""
    first = Collected(ReportStore(tmp_path))
    first.publisher.publish(_result("success", 100.0, scores_of(4)))
    first.close()
    second = Collected(ReportStore(tmp_path), version="v2")
    assert not second.points(names.DRIFT_RATIO)
    second.close()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema_version": 0}', "\0"])
def test_broken_state_is_no_error(tmp_path: Path, content: str) -> None:
    """A file that is none of ours only means that there are no values yet."""
    (tmp_path / STATE_FILE).write_text(content)
    made = Collected(ReportStore(tmp_path))
    assert not made.points(names.DRIFT_RATIO)
    made.close()


def test_full_disk_does_not_end_publishing(
    tmp_path: Path, scores_of: Callable[..., DriftScores]
) -> None:
    """Where values can't be stored they are still published."""
    blocked = tmp_path / "file"
    blocked.write_text("a file where the directory should be")
    made = Collected(ReportStore(blocked))
    with pytest.raises(FileExistsError):
        made.publisher.publish(_result("success", 100.0, scores_of(4)))
    assert list(made.points(names.DRIFT_RATIO).values()) == [0.4]
    made.close()
