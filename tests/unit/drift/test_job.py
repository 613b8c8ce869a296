"""The job: outcomes of a run."""

from __future__ import annotations

import errno
import json
import logging
import os
import resource
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from testbed_domain.errors import DomainError
from testbed_drift.cli.ending import exit_code
from testbed_drift.evaluation.segmentdrift import SegmentScorer
from testbed_drift.scoring.scores import DriftRule
from testbed_drift.settings import read_settings
from testbed_drift.storage.memory import Memory

from .conftest import Bench

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.logstore import Columns
    from testbed_drift.scoring.scores import DriftScores

NOW = 1_000_000.0


def test_run_compares_the_last_seconds(bench: Bench) -> None:
    """A run evaluates the rows of the last ``window`` seconds against the training reference."""
    bench.clock.step = 0.5
    result = bench.job.run_once()
    started = NOW + 0.5
    assert bench.log.asked[0] == ("rf-1", started - 60, started, 5000)
    assert bench.log.asked[1] == ("rf-1", None, None, None)
    assert (result.outcome, result.started, result.seconds) == ("success", started, 0.5)
    assert bench.publisher.results == [result]


def test_run_writes_reports_and_one_line(bench: Bench) -> None:
    """HTML, JSON and the record agree, and the record names the files by name."""
    result = bench.job.run_once()
    name = "drift_reference-rf-1_vs_19700112T134540Z-19700112T134640Z"
    assert bench.files == {f"{name}.html", f"{name}.json"}
    [record] = bench.records
    assert (record["html"], record["json"]) == (f"{name}.html", f"{name}.json")
    assert record["decision"] == "NO_ACTION"
    assert record["reasons"] == ["none of 10 columns drifted"]
    assert record["rows"] == {"reference": 300, "current": 300}
    assert record["drift_share"] == 0.0
    assert record["time"] == record["started"] + record["seconds"]
    column = record["columns"]["x0"]
    assert (column["method"], column["score"], column["threshold"], column["drifted"]) == (
        "wasserstein",
        0.01,
        0.1,
        False,
    )
    report = json.loads((bench.output / f"{name}.json").read_text())
    assert report["columns"] == record["columns"]
    assert report["evidently"] == [{"name": "fake", "value": 1.0}]
    assert result.message.startswith(f"report={bench.output / name}.html json=")


def test_segments_stand_in_report_and_record(bench: Bench) -> None:
    """Drift of the segments is in the JSON report and in the record, and has its table."""
    bench.job.segments = SegmentScorer("colour", {"colour": "category"}, DriftRule(), 100)
    result = bench.job.run_once()
    assert result.finding
    assert result.finding.json
    [record] = bench.records
    assert record["segments"].keys() == {"colour=blue", "colour=red"}
    assert record["segments"]["colour=red"]["state"] == "scored"
    assert json.loads(result.finding.json.read_text())["segments"] == record["segments"]
    assert result.finding.html
    assert "0 of 2 segments drifted" in result.finding.html.read_text()


def test_two_windows_of_the_log_can_be_compared(bench: Bench) -> None:
    """Two months of the log give the file names of the preset churn."""
    settings = {
        "reference_window": "2024-01-01/2024-01-31",
        "current_window": "2024-02-01/2024-02-29",
    }
    given = read_settings(log_url="-", artefact=bench.output, **settings)
    bench.job.settings = bench.source.settings = given
    assert bench.job.run_once().outcome == "success"
    assert bench.files == {
        "drift_2024-01-31_vs_2024-02-29.html",
        "drift_2024-01-31_vs_2024-02-29.json",
    }


def test_too_few_rows_are_an_outcome_of_their_own(
    bench: Bench, columns_of: Callable[..., Columns]
) -> None:
    """No decision, no report, but a record and something to publish."""
    bench.log.current = columns_of(20)
    result = bench.job.run_once()
    assert (result.outcome, result.finding) == ("insufficient_data", None)
    assert "20 rows" in result.message
    assert "decision" not in bench.records[0]
    assert bench.files == set()
    assert bench.publisher.results == [result]


def test_rows_are_evaluated_once(bench: Bench, columns_of: Callable[..., Columns]) -> None:
    """Without a new row there is no second run on the old ones; with one there is."""
    outcomes = [bench.job.run_once().outcome for _ in range(2)]
    bench.log.current = columns_of(301)
    outcomes.append(bench.job.run_once().outcome)
    assert outcomes == ["success", "insufficient_data", "success"]
    assert "no new rows" in bench.records[1]["message"]


def test_late_labels_are_a_reason_to_evaluate_again(
    bench: Bench, columns_of: Callable[..., Columns]
) -> None:
    """New labels of known rows give a new result, whose window votes and counts once."""
    bench.with_settings(confirm=2, confirm_of=2)
    rows = columns_of(300)
    late = replace(rows, label=["1"] * 300, label_time=[time or 900.0 for time in rows.label_time])
    findings = []
    for columns in (rows, late, late):
        bench.log.current = columns
        findings.append(bench.job.run_once().finding)
    assert [found and (found.fresh, found.current.labels) for found in findings] == [
        (True, 150),
        (False, 300),
        None,
    ]
    assert "no new labels" in bench.records[-1]["message"]
    assert len(bench.job.memory.votes) == 1


def test_new_process_goes_on_where_the_last_one_was_killed(
    bench: Bench, columns_of: Callable[..., Columns], scores_of: Callable[..., DriftScores]
) -> None:
    """Its memory makes it wait for new rows, and counts the windows that voted before."""
    bench.with_settings(confirm=2, confirm_of=2)
    bench.detector.scores = scores_of(4)
    bench.job.run_once()
    memory = bench.publisher.memories[-1]
    assert memory
    again = replace(bench.job, memory=Memory.from_dict(json.loads(json.dumps(memory.to_dict()))))
    assert "no new rows" in again.run_once().message
    bench.log.current = columns_of(301)
    found = again.run_once().finding
    assert found
    assert found.decision.action == "ALERT"
    assert found.html is not None


def test_single_run_evaluates_what_is_known(bench: Bench) -> None:
    """Who asks for one run gets a result and a report, though no row is new."""
    bench.job.run_once()
    once = replace(bench.job, once=True)
    for _ in range(2):
        found = once.run_once().finding
        assert found
        assert found.html is not None
        assert not found.fresh
    assert len(once.memory.votes) == 1


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("always", [True, True, True, True]),
        ("on_change", [True, False, True, True]),
        ("never", [False, False, False, False]),
    ],
)
def test_html_when_it_is_wanted(
    bench: Bench,
    scores_of: Callable[..., DriftScores],
    columns_of: Callable[..., Columns],
    html: str,
    expected: list[bool],
) -> None:
    """On change means the first run and those whose decision is another one."""
    bench.with_settings(html=html)
    rendered = []
    for number, drifted in enumerate([0, 0, 4, 9]):
        bench.detector.scores = scores_of(drifted)
        bench.log.current = columns_of(300 + number)
        finding = bench.job.run_once().finding
        assert finding
        rendered.append(finding.html is not None)
    assert rendered == expected


def test_report_is_rendered_when_it_is_due(
    bench: Bench, columns_of: Callable[..., Columns]
) -> None:
    """Without a change there is a report when the last one is as old as the interval."""
    bench.with_settings(report_interval=100.0)
    rendered = []
    for number, seconds in enumerate([0, 99, 1, 50, 50]):
        bench.clock.now += seconds
        bench.log.current = columns_of(300 + number)
        finding = bench.job.run_once().finding
        assert finding
        rendered.append(finding.html is not None)
    assert rendered == [True, False, True, False, True]


def test_only_a_rendered_report_asks_evidently(
    bench: Bench, columns_of: Callable[..., Columns]
) -> None:
    """The JSON report has the scores always, and Evidently's metrics where HTML was rendered."""
    evidently = []
    for number in range(2):
        bench.log.current = columns_of(300 + number)
        bench.clock.now += 100
        finding = bench.job.run_once().finding
        assert finding
        assert finding.json
        report = json.loads(finding.json.read_text())
        assert report["columns"]
        evidently.append(report["evidently"])
    assert evidently == [[{"name": "fake", "value": 1.0}], None]


@pytest.mark.parametrize(
    ("confirm", "of", "expected"),
    [
        (1, 1, ["NO_ACTION", "ALERT", "NO_ACTION", "ALERT", "ALERT", "NO_ACTION"]),
        (2, 2, ["NO_ACTION", "NO_ACTION", "NO_ACTION", "NO_ACTION", "ALERT", "NO_ACTION"]),
        (2, 3, ["NO_ACTION", "NO_ACTION", "NO_ACTION", "ALERT", "ALERT", "ALERT"]),
        (3, 5, ["NO_ACTION", "NO_ACTION", "NO_ACTION", "NO_ACTION", "ALERT", "ALERT"]),
    ],
)
def test_windows_confirm_each_other(
    bench: Bench,
    scores_of: Callable[..., DriftScores],
    columns_of: Callable[..., Columns],
    confirm: int,
    of: int,
    expected: list[str],
) -> None:
    """So many of the latest windows must ask for an action; what each asked for is remembered."""
    bench.with_settings(confirm=confirm, confirm_of=of)
    decisions = []
    for number, drifted in enumerate([0, 3, 0, 3, 3, 0]):
        bench.detector.scores = scores_of(drifted)
        bench.log.current = columns_of(300 + number)
        finding = bench.job.run_once().finding
        assert finding
        decisions.append(str(finding.decision.action))
    assert decisions == expected


def test_training_reference_is_read_once(bench: Bench, columns_of: Callable[..., Columns]) -> None:
    """The reference rows of a model never change, so a resident job reads them once."""
    for number in range(3):
        bench.log.current = columns_of(300 + number)
        assert bench.job.run_once().outcome == "success"
    assert bench.log.asked.count(("rf-1", None, None, None)) == 1


@pytest.mark.parametrize(
    ("error", "message", "traceback"),
    [
        (DomainError("the log is locked"), "the log is locked", False),
        (
            PermissionError(13, "no", "a.db"),
            "a.db: no: choose a place that this user may use",
            False,
        ),
        (ZeroDivisionError("two\nlines"), "ZeroDivisionError: two lines", True),
    ],
)
def test_failure_is_an_outcome(
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    message: str,
    traceback: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """A failed run is one line; only what nobody expected leaves its traceback in the log."""
    bench.log.error = error
    with caplog.at_level(logging.ERROR):
        result = bench.job.run_once()
    assert (result.outcome, result.message) == ("error", message)
    assert any(record.exc_info for record in caplog.records) is traceback
    assert bench.records[0]["outcome"] == "error"
    assert bench.publisher.results == [result]


def test_disk_that_is_full(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The file is named, once for all that could not be written."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        result = bench.job.run_once()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(bench.output) in result.message
    assert not result.unstored
    assert not caplog.records


def test_disk_that_fills_up(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that can't be recorded is not one that went well, and leaves no half line."""
    write = os.write
    full = iter([False])

    def half(handle: int, data: bytes) -> int:
        if next(full, True):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[:10])

    monkeypatch.setattr("os.write", half)
    result = bench.job.run_once()
    assert result.outcome == "success"
    assert str(bench.output / "runs.jsonl") in result.unstored
    assert exit_code([result]) == 2
    assert not (bench.output / "runs.jsonl").read_bytes()
    assert not caplog.records


def test_full_disk_does_not_end_the_job(bench: Bench) -> None:
    """Where nothing can be written the run is an error that is still published."""
    bench.output.write_text("a file where the directory should be")
    result = bench.job.run_once()
    assert result.outcome == "error"
    assert bench.publisher.results == [result]
    assert str(bench.output) in result.message
