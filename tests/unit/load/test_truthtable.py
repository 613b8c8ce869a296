"""The truth as Parquet, and as a prediction log that the drift job reads."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from testbed_domain.features import Feature
from testbed_drift.cli import main
from testbed_load.errors import LoadError
from testbed_load.plan import LoadPhase, PhaseDrift
from testbed_load.traffic import TrafficSource, load_source, phase_rows
from testbed_load.truth import RequestRecord, TruthWriter
from testbed_load.truthtable import write_table

if TYPE_CHECKING:
    from pathlib import Path

ROWS = 1500


def write(directory: Path, source: TrafficSource, drift: PhaseDrift | None, seed: int) -> Path:
    """The truth of a load whose service predicts the label, in nine of ten rows."""
    phase = LoadPhase("p", ROWS / 50, 50.0, drift)
    truth = TruthWriter(directory)
    for seq, (row, label) in enumerate(islice(phase_rows(phase, source, seed, 0), ROWS)):
        prediction = label if seq % 10 else 1 - int(label)
        truth.request(
            RequestRecord(
                seq, f"r-{seq}", "p", seq / 50, seq / 50 + 0.25, seq / 50 + 0.5,
                drift.name if drift else None, drift.severity if drift else 0.0,
                row, label, 200, None, f"p-{seq}", prediction, 0.9, f"{seq:032x}",
                sampled=seq % 2 == 0,
            )
        )  # fmt: skip
    truth.ended(ROWS / 50, missed=0)
    return write_table(directory, source.schema)


def test_a_row_holds_all_that_a_line_holds(tmp_path: Path, source: TrafficSource) -> None:
    """Features in columns of their own; latency counts from when the request was due."""
    found = pd.read_parquet(write(tmp_path, source, PhaseDrift("scale", 0.5), 1))
    lines = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text().splitlines()]
    assert len(found) == len(lines) == ROWS
    for place in (0, 7, ROWS - 1):
        line, row = lines[place], found.iloc[place]
        features = line.pop("features")
        for name, value in (features | line).items():
            assert row[name] == value or (value is None and pd.isna(row[name])), name
    assert set(found["latency"].round(6)) == {0.5}
    assert (found["positive_probability"] == 0.9).sum() == (found["prediction"] == 1).sum()


def test_a_torn_last_line_is_left_out(tmp_path: Path, source: TrafficSource) -> None:
    """It was written as the process died."""
    write(tmp_path, source, None, 1)
    with (tmp_path / "requests.jsonl").open("a") as file:
        file.write('{"seq": 1500, "req')
    assert len(pd.read_parquet(write_table(tmp_path, source.schema))) == ROWS


def test_a_feature_keeps_its_name(tmp_path: Path, source: TrafficSource) -> None:
    """The load's own column of that name has another one."""
    write(tmp_path, source, None, 1)
    features = (*source.schema.features, Feature("status", "integer", "A status."))
    found = pd.read_parquet(write_table(tmp_path, replace(source.schema, features=features)))
    assert found["status"].isna().all()
    assert set(found["load_status"]) == {200}


def test_a_folder_that_can_not_be_written_is_named(tmp_path: Path, source: TrafficSource) -> None:
    """And what is there all the same."""
    with pytest.raises(LoadError, match="the lines beside it are"):
        write_table(tmp_path / "missing", source.schema)


@pytest.mark.parametrize(
    ("drift", "decision", "columns"),
    [
        (None, "NO_ACTION", set()),
        (PhaseDrift("swapped_unit", column="BMI"), "ALERT", {"BMI"}),
        (
            PhaseDrift("covariate_shift"),
            "RETRAIN",
            {"Pregnancies", "Glucose", "BloodPressure", "SkinThickness", "Insulin", "BMI"},
        ),
    ],
)
def test_the_drift_job_reads_it_as_a_prediction_log(
    drift: PhaseDrift | None,
    decision: str,
    columns: set[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One run's truth against another's, 1,500 rows each: what drifted, and the accuracy.

    One column of eight is an alert: a cron job goes by the exit code.
    """
    source = load_source(None, "diabetes")
    reference = write(tmp_path / "a", source, None, 1)
    current = write(tmp_path / "b", source, drift, 2)
    names = ",".join(source.schema.names)
    main(
        [
            "run", "--reference", str(reference), "--current", str(current), "--columns", names,
            "--target", "label", "--prediction", "prediction", "--probability",
            "positive_probability", "--time-column", "sent_at", "--relations-rows", "0", "--json",
        ]
    )  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert found["decision"] == decision
    assert {name for name, one in found["columns"].items() if one["drifted"]} == columns
    assert found["windows"]["current"]["rows"] == found["windows"]["current"]["labels"] == ROWS
    assert found["performance"]["realised"]["accuracy"] == pytest.approx(0.9)
