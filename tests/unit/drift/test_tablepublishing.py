"""What a command on tables publishes, read from the file that it writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from prometheus_client.parser import text_string_to_metric_families
from testbed_drift.cli import main
from testbed_drift.settings import DriftSettings
from testbed_drift.tables.publication import MAX_VERSIONS
from testbed_otel.redaction import no_conflict

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 900
RATIO, DECISION, RUNS = (
    "ml_data_drift_ratio",
    "ml_drift_decision",
    "ml_drift_job_runs_total",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches the tests; nothing is studied, for speed."""
    for name in DriftSettings.model_fields:
        monkeypatch.delenv(f"TESTBED_DRIFT_{name.upper()}", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setenv("TESTBED_DRIFT_RELATIONS_ROWS", "0")


def make(seed: int, shift: float = 0.0) -> pd.DataFrame:
    """Ages, towns and versions."""
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": rng.normal(shift, 1, ROWS),
            "size": rng.normal(0, 1, ROWS),
            "town": np.resize(["a", "b"], ROWS),
            "v": np.resize(["one", "two", "three"], ROWS),
        }
    )


class Place:
    """A folder with tables; runs commands there and reads the file that they write."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "shop.prom"
        make(1).to_parquet(folder / "a.parquet")

    def run(self, current: pd.DataFrame | None, *options: str) -> int:
        """Compare a table with the reference, by its numbers."""
        path = self.folder / "now.parquet"
        path.unlink(missing_ok=True)
        if current is not None:
            current.to_parquet(path)
        sides = ("--reference", str(self.folder / "a.parquet"), "--current", str(path))
        given = ("--columns", "age,size", "--textfile", str(self.file), "--min-rows", "50")
        return main(["run", *sides, *given, *options])

    def values(self, name: str, label: str, **of: str) -> dict[str, float]:
        """Values of the series of a name, with these labels, by another label."""
        return {
            sample.labels[label]: sample.value
            for family in text_string_to_metric_families(self.file.read_text())
            for sample in family.samples
            if sample.name == name and of.items() <= sample.labels.items()
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """With a reference."""
    return Place(tmp_path)


def test_scores_decision_and_windows_are_published(place: Place) -> None:
    """Under the names of the prediction log's; the version is the reference's name."""
    assert place.run(make(2, shift=1.0)) == 1
    assert place.values(RATIO, "model_version") == {"a": 0.5}
    assert place.values("ml_data_drift_ratio_threshold", "model_version") == {"a": 0.3}
    assert place.values(DECISION, "decision") == {"NO_ACTION": 0, "ALERT": 0, "RETRAIN": 1}
    assert place.values("ml_data_drift_column_detected", "column") == {"age": 1, "size": 0}
    assert place.values("ml_drift_window_rows", "window") == {"reference": ROWS, "current": ROWS}
    assert place.values("ml_drift_window_rows_needed", "model_version") == {"a": 50}
    assert place.values("ml_drift_job_last_completed_timestamp_seconds", "drift_job")["shop"] > 1e9
    assert place.values("ml_drift_job_run_duration_seconds", "drift_job")["shop"] > 0


def test_a_failed_command_is_counted_and_leaves_the_decision(place: Place) -> None:
    """The table is not there, then it has too few rows; a run after that decides anew."""
    place.run(make(2, shift=1.0))
    assert place.run(None) == 2
    assert place.run(make(2).head(20)) == 2
    assert place.values(RUNS, "outcome") == {"success": 1, "insufficient_data": 1, "error": 1}
    assert place.values(DECISION, "decision")["RETRAIN"] == 1
    assert place.run(make(3)) == 0
    assert place.values(RUNS, "outcome")["success"] == 2
    assert place.values(DECISION, "decision")["NO_ACTION"] == 1
    assert place.values("ml_data_drift_detections_total", "column") == {"age": 1, "size": 0}


def test_each_window_is_a_run(place: Place) -> None:
    """The last one stands, all are counted."""
    both = pd.concat([make(2, shift=1.0).head(300), make(3).head(600)])
    assert place.run(both, "--window-rows", "300") == 1
    assert place.values(DECISION, "decision")["NO_ACTION"] == 1
    assert place.values(RUNS, "outcome")["success"] == 3


def test_segments_have_the_metrics_of_segments(place: Place) -> None:
    """A share, scores and a decision each; no decision of the whole, which nobody made."""
    table = make(2)
    table.loc[table["town"] == "b", "age"] += 1
    few = table.assign(town=table["town"].where(table.index >= 30, "c"))
    assert place.run(few, "--segment", "town") == 1
    assert place.values("ml_data_drift_segment_ratio", "segment") == {"town=a": 0, "town=b": 0.5}
    states = place.values("ml_drift_segments", "state")
    assert states == {"scored": 2, "insufficient_data": 1, "error": 0}
    chosen = place.values("ml_drift_segment_decision", "decision", segment="town=b")
    assert chosen == {"NO_ACTION": 0, "ALERT": 0, "RETRAIN": 1}
    assert place.values("ml_data_drift_ratio_threshold", "model_version") == {"a": 0.3}
    assert place.values(DECISION, "decision") == place.values(RATIO, "model_version") == {}
    assert place.values(RUNS, "outcome") == {"success": 1, "insufficient_data": 0, "error": 0}


def test_versions_have_all_metrics(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    """Each under its own name; of the SDK's warnings none is shown."""
    table = make(2)
    table.loc[table["v"] == "two", "age"] += 1
    assert place.run(table, "--version-column", "v") == 1
    assert place.values(RATIO, "model_version") == {"one": 0, "three": 0, "two": 0.5}
    assert place.values("ml_drift_version_state", "model_version").keys() == {"one", "two", "three"}
    assert place.values(RUNS, "outcome")["success"] == 1
    assert not [record for record in caplog.records if no_conflict(record)]


def test_versions_without_end_are_left_out(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """A column of ids taken for versions does not flood Prometheus; a line says so."""
    table = make(2).assign(v=[f"{place // 30:02}" for place in range(ROWS)])
    place.run(table, "--version-column", "v", "--min-rows", "10")
    assert len(place.values(RATIO, "model_version")) == MAX_VERSIONS
    assert capsys.readouterr().err.splitlines() == [
        f"drift: more than {MAX_VERSIONS} versions: {ROWS // 30 - MAX_VERSIONS} are not published"
    ]


def test_a_textfile_that_can_t_be_is_reported_before_anything_is_read(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its name, or its folder: exit code 2, and no table was read."""
    place.file = place.folder / "shop.txt"
    assert place.run(None) == 2
    place.file = place.folder / "away" / "shop.prom"
    assert place.run(None) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert "must end in .prom" in first
    assert "there is no folder" in second
