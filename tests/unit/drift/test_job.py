"""The job: outcomes of a run, and runs at an interval."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed_domain.errors import DomainError
from testbed_drift.job import DriftJob, watch
from testbed_drift.reports import RUNS_FILE, ReportStore
from testbed_drift.scores import Rule
from testbed_drift.segmentdrift import SegmentScorer
from testbed_drift.settings import DriftSettings
from testbed_drift.spans import Span
from testbed_drift.windows import WindowReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.logstore import Columns
    from testbed_drift.results import RunResult
    from testbed_drift.scores import DriftScores
    from testbed_drift.windows import Window

NOW = 1_000_000.0


@dataclass
class FakePublisher:
    """Keeps what it was given."""

    results: list[RunResult] = field(default_factory=list)

    def publish(self, result: RunResult) -> None:
        """Keep it."""
        self.results.append(result)


@dataclass
class Bench:
    """A job on fakes, with everything it touches."""

    job: DriftJob
    log: Any
    detector: Any
    clock: Any
    publisher: FakePublisher
    output: Path

    def with_settings(self, **changes: Any) -> None:  # noqa: ANN401 - one of many types per name
        """Change settings of the job."""
        self.job.settings = self.job.settings.model_copy(update=changes)

    @property
    def records(self) -> list[dict[str, Any]]:
        """Lines of the runs file."""
        lines = (self.output / RUNS_FILE).read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def files(self) -> set[str]:
        """Names of all other files."""
        return {path.name for path in self.output.iterdir()} - {RUNS_FILE}


@pytest.fixture
def bench(tmp_path: Path, log: Any, detector: Any, clock: Any) -> Bench:  # noqa: ANN401 - fakes of conftest
    """A job whose log holds 300 rows, and whose detector finds nothing."""
    output = tmp_path / "drift"
    settings = DriftSettings(log_url="sqlite://", artefact=tmp_path, output=output, window=60)
    publisher = FakePublisher()
    reader = WindowReader("rf-1", {"size": "numeric", "colour": "category"}, 200, 5000)
    job = DriftJob(settings, reader, log, detector, ReportStore(output), publisher, clock)  # type: ignore[arg-type]
    return Bench(job, log, detector, clock, publisher, output)


def test_run_compares_the_last_seconds(bench: Bench) -> None:
    """A run judges the rows of the last ``window`` seconds against the training reference."""
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
    bench.job.segments = SegmentScorer("colour", {"colour": "category"}, Rule(), 100)
    result = bench.job.run_once()
    assert result.finding
    [record] = bench.records
    assert record["segments"].keys() == {"colour=blue", "colour=red"}
    assert record["segments"]["colour=red"]["state"] == "scored"
    assert json.loads(result.finding.json.read_text())["segments"] == record["segments"]
    assert result.finding.html
    assert "0 of 2 segments drifted" in result.finding.html.read_text()


def test_two_windows_of_the_log_can_be_compared(bench: Bench) -> None:
    """Two months of the log give the file names of system E."""
    settings = {
        "reference_window": "2024-01-01/2024-01-31",
        "current_window": "2024-02-01/2024-02-29",
    }
    bench.job.settings = DriftSettings(log_url="-", artefact=bench.output, **settings)  # type: ignore[arg-type]
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


def test_rows_are_judged_once(bench: Bench, columns_of: Callable[..., Columns]) -> None:
    """Without a new row there is no second run on the old ones; with one there is."""
    outcomes = [bench.job.run_once().outcome for _ in range(2)]
    bench.log.current = columns_of(301)
    outcomes.append(bench.job.run_once().outcome)
    assert outcomes == ["success", "insufficient_data", "success"]
    assert "no new rows" in bench.records[1]["message"]


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
        (PermissionError(13, "Permission denied"), "[Errno 13] Permission denied", False),
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


def test_full_disk_does_not_end_the_job(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be written the run is an error that is still published."""
    bench.output.write_text("a file where the directory should be")
    result = bench.job.run_once()
    assert result.outcome == "error"
    assert bench.publisher.results == [result]
    assert "cannot record the run" in caplog.text


def _watch(bench: Bench, turns: int, took: float = 1.0, between: Any = None) -> list[float]:  # noqa: ANN401 - a callable or nothing
    """Watch for some turns; returns the waits that were asked for."""
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        bench.clock.now += seconds
        return len(waits) > turns

    def announce(result: RunResult) -> None:
        bench.clock.now += took
        if between:
            between(result)

    watch(bench.job, 10.0, bench.clock, wait, announce)
    return waits


def test_watch_runs_at_once_and_at_the_interval(bench: Bench) -> None:
    """The time that a run takes is no part of the wait."""
    assert _watch(bench, 3) == [0.0, 9.0, 9.0, 9.0]
    assert [result.started - NOW for result in bench.publisher.results] == [0, 10, 20]


def test_watch_skips_turns_that_it_missed(bench: Bench) -> None:
    """Runs of 25 s at an interval of 10 s start every 30 s."""
    assert _watch(bench, 2, took=25.0) == [0.0, 5.0, 5.0]


def test_clock_put_back_does_not_stall_the_watch(bench: Bench) -> None:
    """After the clock went back an hour, the next run is at most one interval away."""

    def put_back(_result: RunResult) -> None:
        bench.clock.now -= 3600

    assert max(_watch(bench, 3, between=put_back)) <= 10.0


def test_watch_survives_broken_runs(bench: Bench, columns_of: Callable[..., Columns]) -> None:
    """A log that is away, then too few rows, then a broken detector: the fourth run succeeds."""
    bench.log.error = DomainError("no log yet")
    outcomes: list[str] = []

    def repair(result: RunResult) -> None:
        outcomes.append(result.outcome)
        bench.log.error = None
        bench.log.current = columns_of(10 if len(outcomes) == 1 else 300)
        bench.detector.error = RuntimeError("broken") if len(outcomes) == 2 else None

    _watch(bench, 4, between=repair)
    assert outcomes == ["error", "insufficient_data", "error", "success"]
    assert [record["outcome"] for record in bench.records] == outcomes


def test_windows_that_are_full_already_are_judged_without_a_wait(
    bench: Bench, columns_of: Callable[..., Columns]
) -> None:
    """A run that leaves a full window behind it is followed by the next one at once."""
    waits: list[float] = []
    behind = iter([True, True, False, False])

    class Catching:
        def run_once(self) -> RunResult:
            bench.log.current = columns_of(300, first=bench.clock.now)
            return replace(bench.job.run_once(), behind=next(behind))

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        bench.clock.now += seconds
        return len(waits) > 4

    watch(Catching(), 60, bench.clock, wait, lambda _: None)
    assert waits == [0, 0, 0, 60, 60]


@dataclass
class FakeTurns:
    """Gives the log's rows; remembers how many turns ended."""

    behind: bool = True
    ended: int = 0

    def next(self, log: Any, reader: WindowReader, now: float) -> Window:  # noqa: ANN401 - a fake
        """All rows of the log."""
        return reader.of_log(log, Span.between(now - 60, now))

    def done(self) -> None:
        """Count it; the position is nowhere to be kept."""
        self.ended += 1
        raise OSError("disk full")


def test_turns_say_which_window_is_judged(bench: Bench) -> None:
    """A turn ends with its run, whatever became of it; a fixed window is no turn."""
    turns = FakeTurns()
    bench.job.turns = turns  # type: ignore[assignment] # a fake
    assert bench.job.run_once().behind
    bench.log.error = OSError("no route to the log")
    broken = bench.job.run_once()
    assert (broken.outcome, broken.behind) == ("error", False)
    assert turns.ended == 2
    bench.log.error = None
    bench.with_settings(current_window=Span.parse("2024-02-01/2024-02-29"))
    bench.log.asked.clear()
    bench.job.run_once()
    assert bench.log.asked[0][1] == Span.parse("2024-02-01/2024-02-29").start
