"""What the job writes of the prediction log follows the same published schemas as of tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError
from testbed_domain.features import Feature, FeatureSchema
from testbed_drift.evaluation.assessment import Assessor
from testbed_drift.evaluation.detection import Detector
from testbed_drift.evaluation.recordschema import RunRecord
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.replay import NoPublisher
from testbed_drift.jobs.windowsource import LogWindows
from testbed_drift.rows.windows import WindowReader
from testbed_drift.settings import DriftSettings
from testbed_drift.storage.reports import RUNS_FILE, ReportStore

from tests.support.schemas import schema_of

if TYPE_CHECKING:
    from pathlib import Path

KINDS: Any = {"size": "numeric", "colour": "category"}
SCHEMA = FeatureSchema(
    (Feature("size", "number", ""), Feature("colour", "category", "")), "y", ("0", "1"), "1"
)


def test_runs_and_reports_of_the_log(tmp_path: Path, log: Any, clock: Any) -> None:  # noqa: ANN401 - fakes of conftest
    """A decision, too few rows, a failure, and the report of the first."""
    settings = DriftSettings(log_url="-", artefact=tmp_path, html="never", segment="colour")
    source = LogWindows(settings, WindowReader("rf-1", KINDS, 200, 5000), log)
    job = DriftJob(
        settings,
        source,
        Detector(KINDS),
        ReportStore(tmp_path),
        NoPublisher(),
        clock,
        assessor=Assessor(SCHEMA, KINDS, "colour"),
    )
    report = job.run_once().finding
    source.reader = WindowReader("rf-1", KINDS, 301, 5000)
    job.run_once()
    log.error = OSError("the disk is full")
    job.run_once()
    records = [json.loads(line) for line in (tmp_path / RUNS_FILE).read_text().splitlines()]
    assert [record["outcome"] for record in records] == ["success", "insufficient_data", "error"]
    assert records[1]["rows_needed"] == 301
    schema = schema_of("drift-run.schema.json")
    for record in records:
        schema.validate(record)
        RunRecord.model_validate(record)
    assert report
    assert report.json
    found = json.loads(report.json.read_text())
    schema_of("drift-report.schema.json").validate(found)
    assert set(records[0]["performance"]["segments"]) == {"colour=blue", "colour=red"}


@pytest.mark.parametrize(
    "change", [{"decision": "MAYBE"}, {"reasons": []}, {"outcome": "fine"}, {"schema_version": 1}]
)
def test_what_is_no_record(change: dict[str, Any]) -> None:
    """The schema refuses what the job does not write."""
    column: dict[str, Any] = {
        "score": None,
        "threshold": None,
        "method": None,
        "drifted": False,
        "scores": [],
    }
    window = {"name": "w", "rows": 1, "labels": 0, "start": None, "end": None}
    record = {
        "schema_version": 2,
        "time": 1.0,
        "started": 0.0,
        "seconds": 1.0,
        "outcome": "success",
        "model_version": "m",
        "message": "",
        "decision": "ALERT",
        "bound": "",
        "reasons": ["x"],
        "drift_share": 0,
        "columns": {"a": column},
        "prediction_drift": column,
        "target_drift": None,
        "windows": {"reference": window, "current": window},
        "rows": {"reference": 1, "current": 1},
        "json": None,
        "html": None,
    }
    RunRecord.model_validate(record)
    with pytest.raises(ValidationError):
        RunRecord.model_validate(record | change)
