"""The job over time: runs at an interval, turns of windows, and what it starts and reports."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from testbed_domain.errors import DomainError
from testbed_drift.jobs.watching import watch
from testbed_drift.quality.trial import Retraining, Trial
from testbed_drift.rows.spans import Period
from testbed_drift.rows.windows import WindowReader

from .conftest import Bench, FakePublisher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_domain.logstore import Columns
    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.rows.windows import Window
    from testbed_drift.scoring.scores import DriftScores

NOW = 1_000_000.0


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


def test_retrain_starts_the_hook_once_all_is_reported(
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


@pytest.mark.parametrize("moved", [-40 * 86_400.0, -300.0, 300.0, 40 * 86_400.0])
def test_clock_that_jumps_does_not_stall_who_looks_for_full_windows(
    bench: Bench, moved: float
) -> None:
    """Of minutes or 40 days, either way: the next run comes within an interval, in small looks."""
    waits: list[list[float]] = [[]]

    def wait(seconds: float) -> bool:
        waits[-1].append(seconds)
        bench.clock.now += seconds
        return len(waits) > 3 or len(waits[-1]) > 100

    def announce(_result: RunResult) -> None:
        bench.clock.now += moved
        waits.append([])

    watch(bench.job, 10.0, bench.clock, wait, announce, ready=lambda: False)
    assert len(waits) == 4
    assert all(sum(between) <= 10.001 for between in waits)


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


def test_windows_that_are_full_already_are_evaluated_without_a_wait(
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
        return reader.of_log(log, Period.between(now - 60, now))

    def done(self) -> None:
        """Count it; the position is nowhere to be kept."""
        self.ended += 1
        raise OSError("disk full")


def test_turns_say_which_window_is_evaluated(bench: Bench) -> None:
    """A turn ends with its run, whatever became of it; a fixed window is no turn."""
    turns = FakeTurns()
    bench.source.turns = turns  # type: ignore[assignment] # a fake
    assert bench.job.run_once().behind
    bench.log.error = OSError("no route to the log")
    broken = bench.job.run_once()
    assert (broken.outcome, broken.behind) == ("error", False)
    assert turns.ended == 2
    bench.log.error = None
    bench.with_settings(current_window=Period.parse("2024-02-01/2024-02-29"))
    bench.log.asked.clear()
    bench.job.run_once()
    assert bench.log.asked[0][1] == Period.parse("2024-02-01/2024-02-29").start


def test_tracker_is_reported_of_every_run(bench: Bench) -> None:
    """Whatever the run came to; what to log is the tracker's to say."""
    predicted: list[RunResult] = []

    class FakeTracker:
        def log_run(self, result: RunResult) -> None:
            predicted.append(result)

    bench.job.tracker = FakeTracker()  # type: ignore[assignment] # a hand-written fake
    first = bench.job.run_once()
    bench.log.error = OSError("gone")
    assert predicted == [first, bench.job.run_once()]
    assert [result.outcome for result in predicted] == ["success", "error"]


def test_a_full_window_does_not_wait_for_the_interval(bench: Bench) -> None:
    """It is evaluated at the next look; the interval counts from there."""
    now, begun = [0.0], []
    full = iter([False, True, *[False] * 100])

    class Job:
        def run_once(self) -> RunResult:
            begun.append(now[0])
            return bench.job.run_once()

    def wait(seconds: float) -> bool:
        now[0] += seconds
        return now[0] > 120.0

    watch(Job(), 100.0, lambda: now[0], wait, lambda _: None, ready=lambda: next(full))
    assert begun == pytest.approx([0.0, 10.0, 110.0])
