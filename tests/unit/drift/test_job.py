"""The job: outcomes of a run, and runs at an interval."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed_domain.errors import DomainError
from testbed_drift.jobs.job import DriftJob, watch
from testbed_drift.judging.segmentdrift import SegmentScorer
from testbed_drift.keeping.memory import Memory
from testbed_drift.keeping.reports import RUNS_FILE, ReportStore
from testbed_drift.quality.trial import Retraining, Trial
from testbed_drift.rows.spans import Span
from testbed_drift.rows.windows import WindowReader
from testbed_drift.scoring.scores import Rule
from testbed_drift.settings import DriftSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.logstore import Columns
    from testbed_drift.judging.results import RunResult
    from testbed_drift.rows.windows import Window
    from testbed_drift.scoring.scores import DriftScores

NOW = 1_000_000.0


@dataclass
class FakePublisher:
    """Keeps what it was given."""

    results: list[RunResult] = field(default_factory=list)
    memories: list[Memory | None] = field(default_factory=list)
    trainings: list[Retraining] = field(default_factory=list)

    def publish(self, result: RunResult, memory: Memory | None = None) -> None:
        """Keep it."""
        self.results.append(result)
        self.memories.append(memory)

    def retrained(self, found: Retraining) -> None:
        """Keep it."""
        self.trainings.append(found)


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
    job = DriftJob(settings, reader, log, detector, ReportStore(output), publisher, clock)
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
    assert result.finding.json
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


def test_late_labels_are_a_reason_to_judge_again(
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


def test_single_run_judges_what_is_known(bench: Bench) -> None:
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


@dataclass
class FakeHook:
    """Remembers what was published when it was called."""

    publisher: FakePublisher
    called: list[int] = field(default_factory=list)
    found: Retraining | None = None

    def last(self) -> Retraining | None:
        """What came of the last one."""
        return self.found

    def call(self, _: RunResult) -> Retraining | None:
        """A training that leaves the champion."""
        self.called.append(len(self.publisher.results))
        self.found = Retraining("kept", "not better", "rf-1", NOW)
        return self.found


def test_challenger_is_logged_where_the_runs_are(
    bench: Bench,
    columns_of: Callable[..., Columns],
    scores_of: Callable[..., DriftScores],
    small_artefact: Artefact,
    tmp_path: Path,
) -> None:
    """With its files, its scores on the held-out rows and what became of it."""
    logged: list[tuple[str, Any, str]] = []

    class Tracker:
        def log_run(self, result: RunResult) -> None:
            assert result.finding

        def log_challenger(self, artefact: Artefact, scores: Any, verdict: str) -> None:  # noqa: ANN401 - a mapping
            logged.append((artefact.version, scores, verdict))

    class Hook(FakeHook):
        def call(self, result: RunResult) -> Retraining | None:
            trial = Trial(300, {"accuracy": 0.5}, {"accuracy": 0.75}, 0.001)
            version = small_artefact.version
            return replace(
                super().call(result), outcome="promoted", challenger=version, trial=trial
            )  # type: ignore[type-var]

    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "rf-2").symlink_to(small_artefact.path)
    bench.job.settings = bench.job.settings.model_copy(update={"models": tmp_path / "models"})
    bench.job.tracker = Tracker()  # type: ignore[assignment]
    bench.job.hook = Hook(bench.publisher)  # type: ignore[assignment]
    bench.detector.scores = scores_of(9)
    bench.log.current = columns_of(300)
    bench.job.run_once()
    scores = {"champion.accuracy": 0.5, "challenger.accuracy": 0.75}
    assert logged == [(small_artefact.version, scores, "promoted")]


def test_retrain_starts_the_hook_once_all_is_told(
    bench: Bench, columns_of: Callable[..., Columns], scores_of: Callable[..., DriftScores]
) -> None:
    """Only RETRAIN does, after the run is published; the next report shows what came of it."""
    hook = bench.job.hook = FakeHook(bench.publisher)  # type: ignore[assignment]
    results = []
    for number, drifted in enumerate([0, 4, 9, 0]):
        bench.detector.scores = scores_of(drifted)
        bench.log.current = columns_of(300 + number)
        bench.clock.now += 100
        results.append(bench.job.run_once())
    assert hook.called == [3]
    assert [result.retraining is not None for result in results] == [False, False, True, False]
    assert bench.publisher.trainings == [results[2].retraining]
    finding = results[3].finding
    assert finding
    assert finding.html
    assert finding.json
    assert json.loads(finding.json.read_text())["retraining"]["outcome"] == "kept"
    assert "Last training" in finding.html.read_text()


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


def test_tracker_is_told_of_every_run(bench: Bench) -> None:
    """Whatever the run came to; what to log is the tracker's to say."""
    told: list[RunResult] = []

    class FakeTracker:
        def log_run(self, result: RunResult) -> None:
            told.append(result)

    bench.job.tracker = FakeTracker()  # type: ignore[assignment] # a hand-written fake
    first = bench.job.run_once()
    bench.log.error = OSError("gone")
    assert told == [first, bench.job.run_once()]
    assert [result.outcome for result in told] == ["success", "error"]
