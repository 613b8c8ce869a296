"""Hand-written fakes of the drift job's ports, and rows with a known distribution."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pytest
from testbed_domain.logstore import Columns
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.windowsource import LogWindows
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.windows import WindowReader
from testbed_drift.scoring.scores import ColumnDrift, ColumnScore, Comparison, DriftScores
from testbed_drift.settings import DriftSettings
from testbed_drift.storage.reports import RUNS_FILE, ReportStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import pandas as pd
    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.formatting import ReportHeading, ReportTable
    from testbed_drift.quality.trial import Retraining
    from testbed_drift.storage.memory import Memory


def verdict(name: str, *, drifted: bool, effect: float = 0.4) -> ColumnDrift:
    """A column of which both scores say the same."""
    return ColumnDrift(
        name,
        (
            Comparison(
                ColumnScore("ks", 1e-6 if drifted else 0.5, 0.01, "p_value"),
                ColumnScore("wasserstein", effect if drifted else 0.01, 0.1, "distance"),
            ),
        ),
    )


def make_scores(
    drifted: int, columns: int = 10, *, prediction: bool = False, target: bool | None = False
) -> DriftScores:
    """Scores of which the first ``drifted`` columns drifted."""
    return DriftScores(
        tuple(verdict(f"x{index}", drifted=index < drifted) for index in range(columns)),
        verdict(PREDICTION, drifted=prediction),
        None if target is None else verdict(TARGET, drifted=target),
    )


def make_columns(count: int, *, first: float = 0.0, seed: int = 1, shift: float = 0.0) -> Columns:
    """Rows of the log, a second apart: one numeric and one text feature, half of them labelled."""
    rng = np.random.default_rng(seed)
    other = {"0": "1", "1": "0"}
    features = {
        "size": rng.normal(shift, 1, count).tolist(),
        "colour": rng.choice(["red", "blue"], count).tolist(),
    }
    prediction = rng.choice(["0", "1"], count).tolist()
    return Columns(
        features=features,
        prediction=prediction,
        probability=[0.9] * count,
        label=["1" if index % 2 else None for index in range(count)],
        id=[str(index) for index in range(count)],
        time=[first + index for index in range(count)],
        probabilities=[{name: 0.9, other[name]: 0.1} for name in prediction],
        label_time=[first + index + 30 if index % 2 else None for index in range(count)],
    )


@dataclass
class FakeLog:
    """A log with given rows; remembers what it was asked for."""

    current: Columns = field(default_factory=lambda: make_columns(300))
    training: Columns = field(default_factory=lambda: make_columns(300, seed=2))
    error: Exception | None = None
    asked: list[tuple[str, float | None, float | None, int | None]] = field(default_factory=list)

    def __call__(self) -> Self:
        """Open the log, or fail."""
        if self.error:
            raise self.error
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def window(
        self, model_version: str, start: float | None, end: float | None, limit: int | None
    ) -> Columns:
        """The given current rows."""
        self.asked.append((model_version, start, end, limit))
        return self.current

    def reference(self, model_version: str) -> Columns:
        """The given reference rows."""
        self.asked.append((model_version, None, None, None))
        return self.training


@dataclass(frozen=True)
class FakeDetection:
    """A detection with given scores."""

    scores: DriftScores

    def metrics(self) -> list[dict[str, Any]]:
        """One metric."""
        return [{"name": "fake", "value": 1.0}]

    def html(self, heading: ReportHeading, tables: Sequence[ReportTable] = ()) -> str:
        """A small page with the titles of heading and tables."""
        return f"<html>fake {heading.title} {[table.title for table in tables]}</html>"

    def snapshot(self) -> None:
        """None: no library made it."""


@dataclass
class FakeDetector:
    """Gives the scores that a test puts into it, or fails."""

    scores: DriftScores = field(default_factory=lambda: make_scores(0))
    error: Exception | None = None

    def detect(self, reference: pd.DataFrame, current: pd.DataFrame) -> FakeDetection:
        """The given scores, for windows that hold rows."""
        assert len(reference)
        assert len(current)
        if self.error:
            raise self.error
        return FakeDetection(self.scores)


@dataclass
class FakeClock:
    """A clock that a test moves, and that each reading moves by ``step``."""

    now: float = 1_000_000.0
    step: float = 0.0

    def __call__(self) -> float:
        """The time."""
        self.now += self.step
        return self.now


@pytest.fixture
def scores_of() -> Callable[..., DriftScores]:
    """Makes scores with a number of drifted columns."""
    return make_scores


@pytest.fixture
def columns_of() -> Callable[..., Columns]:
    """Makes rows of the log."""
    return make_columns


@pytest.fixture
def log() -> FakeLog:
    """A log with 300 rows in both windows."""
    return FakeLog()


@pytest.fixture
def detector() -> FakeDetector:
    """A detector that finds nothing."""
    return FakeDetector()


@pytest.fixture
def clock() -> FakeClock:
    """A clock that stands still."""
    return FakeClock()


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
    source: LogWindows
    log: Any
    detector: Any
    clock: Any
    publisher: FakePublisher
    output: Path

    def with_settings(self, **changes: Any) -> None:  # noqa: ANN401 - one of many types per name
        """Change settings of the job."""
        self.job.settings = self.source.settings = self.job.settings.model_copy(update=changes)

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
    source = LogWindows(settings, reader, log)
    job = DriftJob(settings, source, detector, ReportStore(output), publisher, clock)
    return Bench(job, source, log, detector, clock, publisher, output)
