"""What a run says beside drift: in its report, in its record, and as metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed_domain.features import Feature, FeatureSchema
from testbed_drift.evaluation.assessment import Assessment, AssessmentError, Assessor
from testbed_drift.evaluation.points import OF_ASSESSMENT, of_assessment
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.replay import NoPublisher
from testbed_drift.jobs.windowsource import LogWindows
from testbed_drift.rows.windows import WindowReader
from testbed_drift.settings import DriftSettings
from testbed_drift.storage.reports import RUNS_FILE, ReportStore
from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.logstore import Columns
    from testbed_drift.rows.columns import ColumnKind
    from testbed_otel.names import Metric

KINDS: dict[str, ColumnKind] = {"size": "numeric", "colour": "category"}
SCHEMA = FeatureSchema(
    features=(
        Feature("size", "number", "A size.", minimum=-5, maximum=5),
        Feature("colour", "category", "A colour.", categories=("red", "blue")),
    ),
    target="good",
    classes=(0, 1),
    positive_class=1,
)
ASSESSOR = Assessor(SCHEMA, KINDS, "colour")


def _values(found: Assessment, metric: Metric, *attributes: str) -> dict[Any, float]:
    """Points of one metric by the values of the attributes; one alone is no tuple."""
    chosen = {}
    for of, value, labels in of_assessment(found):
        if of is metric:
            assert {*labels, names.MODEL_VERSION} == {*metric.attributes}
            key = tuple(labels[name] for name in attributes)
            chosen[key if len(key) > 1 else key[0] if key else ""] = value
    return chosen


@pytest.fixture
def found(columns_of: Callable[..., Columns]) -> Assessment:
    """An assessment of 300 rows, half of them labelled, and a labelled reference."""
    reference = columns_of(300, seed=2)
    labelled = replace(reference, label=["1", *["0"] * 299], label_time=[], time=[])
    return ASSESSOR.assess(labelled, columns_of(300))


def test_current_and_reference_performance_are_distinguished(found: Assessment) -> None:
    """The accuracy of each window comes under a basis of its own."""
    scores = _values(found, names.PERFORMANCE_SCORE, names.BASIS, names.SCORE)
    assert scores["realised", "accuracy"] == found.current.scores["accuracy"]
    assert scores["reference", "accuracy"] == found.reference.scores["accuracy"]
    assert scores["reference", "accuracy"] != scores["realised", "accuracy"]
    assert scores["estimated", "accuracy"] == (found.estimate.scores or {})["accuracy"]
    assert ("realised", "roc_auc") not in scores  # only one class among the labels


def test_every_value_stays_within_the_vocabulary(found: Assessment) -> None:
    """Attributes with a closed set carry no other value, and every metric has a point."""
    points = list(of_assessment(found))
    assert {metric.name for metric, _, _ in points} == {metric.name for metric in OF_ASSESSMENT}
    for metric, _, attributes in points:
        for attribute, allowed in metric.values:
            assert attributes[attribute] in allowed


def test_labels_and_segments_are_published(found: Assessment) -> None:
    """Coverage, delay, matrix and segments add up to the labelled rows of the window."""
    assert _values(found, names.LABEL_COVERAGE) == {"": 0.5}
    delays = _values(found, names.LABEL_DELAY, names.QUANTILE)
    assert delays == {"0.5": 30.0, "0.95": 30.0}
    confusion = _values(
        found, names.PERFORMANCE_CONFUSION, names.TRUE_CLASS, names.PREDICTION_CLASS
    )
    assert sum(confusion.values()) == 150
    assert confusion["0", "0"] == confusion["0", "1"] == 0
    parts = _values(found, names.PERFORMANCE_SEGMENT_SCORE, names.SEGMENT, names.SCORE)
    assert {segment for segment, _ in parts} == {"colour=red", "colour=blue"}
    assert sum(part.labels for part in found.segments.values()) == 150
    states = _values(found, names.PERFORMANCE_STATE, names.STATE)
    assert states == {"one_class": 1, "measured": 0, "no_labels": 0, "empty": 0}


def test_window_without_labels_publishes_no_scores(columns_of: Callable[..., Columns]) -> None:
    """Where no label has come, series of realised scores end; coverage says why."""
    bare = replace(columns_of(300), label=[None] * 300, label_time=[None] * 300)
    found = ASSESSOR.assess(columns_of(300, seed=2), bare)
    bases = {
        basis for basis, _ in _values(found, names.PERFORMANCE_SCORE, names.BASIS, names.SCORE)
    }
    assert "realised" not in bases
    assert _values(found, names.LABEL_COVERAGE) == {"": 0.0}
    assert not _values(found, names.LABEL_DELAY, names.QUANTILE)
    assert not _values(found, names.PERFORMANCE_CONFUSION)
    assert _values(found, names.PERFORMANCE_STATE, names.STATE)["no_labels"] == 1


def test_segments_are_estimated_before_labels(columns_of: Callable[..., Columns]) -> None:
    """Each segment has its estimate beside what is realised; together they are the window's."""
    reference, current = columns_of(300, seed=2), columns_of(300)
    full = replace(reference, label=[*["1", "0", "0"] * 100], label_time=[], time=[])
    found = ASSESSOR.assess(full, replace(current, label=[None] * 300, label_time=[None] * 300))
    estimated = _values(found, names.PERFORMANCE_SEGMENT_ESTIMATE, names.SEGMENT, names.SCORE)
    assert not _values(found, names.PERFORMANCE_SEGMENT_SCORE, names.SEGMENT, names.SCORE)
    segments = found.to_dict()["performance"]["segments"]
    assert set(segments) == {"colour=red", "colour=blue"}
    right = 0.0
    for name, part in segments.items():
        assert (part["state"], part["accuracy"]) == ("no_labels", None)
        accuracy = part["estimated"]["accuracy"]
        assert estimated[name, "accuracy"] == accuracy
        right += accuracy * part["estimated"]["rows"]
    whole = found.to_dict()["performance"]["estimated"]
    assert right / 300 == pytest.approx(whole["accuracy"])
    errors = _values(found, names.PERFORMANCE_SEGMENT_ESTIMATE_ERROR, names.SEGMENT)
    assert set(errors) == set(segments)
    assert min(errors.values()) > whole["standard_error"]
    shown, _ = found.tables()
    row = next(row for row in shown.rows if row[0] == "colour=red, estimated")
    assert row[1:4] == ("estimated", "none needed", f"{estimated['colour=red', 'accuracy']:.3f}")


def test_data_quality_is_published(columns_of: Callable[..., Columns]) -> None:
    """Every check of every column has a point, the duplicated rows one per window."""
    current = columns_of(300)
    features = {**current.features, "colour": [*["teal"] * 30, *current.features["colour"][30:]]}
    found = ASSESSOR.assess(columns_of(300, seed=2), replace(current, features=features))
    ratios = _values(found, names.QUALITY_COLUMN, names.COLUMN, names.CHECK)
    assert len(ratios) == 2 * len(names.QUALITY_CHECKS)
    assert ratios["colour", "new_category"] == 0.1
    duplicated = _values(found, names.QUALITY_DUPLICATED, names.WINDOW)
    assert duplicated == {"reference": 0.0, "current": 0.0}
    _, table = found.tables()
    assert [row for row in table.rows if row[0] == "colour"] == [
        ("colour", "0", "0", "0.1", "0", "0", "teal")
    ]
    assert found.to_dict()["quality"]["columns"]["colour"]["new_values"] == ["teal"]


def test_segment_must_be_a_column() -> None:
    """A column that the model lacks is refused with the names of those that it has."""
    with pytest.raises(AssessmentError, match=r"'shape'.*size, colour"):
        Assessor(SCHEMA, KINDS, "shape")


def test_run_reports_performance(tmp_path: Path, log: Any, detector: Any, clock: Any) -> None:  # noqa: ANN401 - fakes of conftest
    """The record and the JSON report carry the same figures, the page their table, schema 2."""
    settings = DriftSettings(log_url="sqlite://", artefact=tmp_path, output=tmp_path, window=60)
    reader = WindowReader("rf-1", KINDS, 200, 5000)
    store = ReportStore(tmp_path)
    source = LogWindows(settings, reader, log)
    job = DriftJob(settings, source, detector, store, NoPublisher(), clock, assessor=ASSESSOR)
    result = job.run_once()
    assert result.finding
    assert result.finding.json
    record = json.loads((tmp_path / RUNS_FILE).read_text())
    report = json.loads(result.finding.json.read_text())
    assert record["schema_version"] == report["schema_version"] == 2
    assert record["performance"] == report["performance"]
    realised = report["performance"]["realised"]
    assert (realised["state"], realised["rows"], realised["labels"]) == ("one_class", 300, 150)
    assert report["performance"]["labels"]["coverage"] == 0.5
    assert result.finding.html
    assert "150 of 300 rows" in result.finding.html.read_text()
