"""What a job that watches does before the first window needs it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from testbed_domain.logstore import open_log
from testbed_drift.evaluation.detection import Detector
from testbed_drift.jobs.championtracker import ChampionTracker
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.preparation import import_reports, preparing
from testbed_drift.jobs.replay import NoPublisher
from testbed_drift.jobs.watching import watch
from testbed_drift.jobs.windowsource import LogWindows
from testbed_drift.relations.models import OnnxModel
from testbed_drift.relations.study import Analyst
from testbed_drift.rows.frames import kinds_of
from testbed_drift.rows.reading import WindowLog
from testbed_drift.rows.windows import WindowReader
from testbed_drift.settings import DriftSettings
from testbed_drift.storage.reports import ReportStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact
    from testbed_drift.relations.models import ScoringModel


def _job(artefact: Artefact, path: Path, loads: list[str], /, **changes: object) -> DriftJob:
    """A job of an artefact whose log holds its reference, and which notes when it loads a model."""
    url = f"sqlite:///{path / 'log.db'}"
    with open_log(url) as log:
        log.register_reference(artefact)
    kinds = kinds_of(artefact.schema)

    def load() -> ScoringModel:
        loads.append(artefact.version)
        return OnnxModel(artefact)

    given: dict[str, Any] = {"log_url": url, "artefact": artefact.path, "output": path}
    settings = DriftSettings(**given | {"html": "never"} | changes)
    return DriftJob(
        settings,
        LogWindows(
            settings,
            WindowReader(artefact.version, kinds, 100, 500),
            lambda: WindowLog(open_log(url, create=False)),
        ),
        Detector(kinds),
        ReportStore(path),
        NoPublisher(),
        lambda: 1_000_000.0,
        analyst=Analyst(kinds, load),
    )


@pytest.mark.slow
def test_the_first_study_finds_the_reference_learnt(
    small_artefact: Artefact, tmp_path: Path
) -> None:
    """The artefact's rows are the log's reference: nothing of it is learnt again."""
    loads: list[str] = []
    job = _job(small_artefact, tmp_path, loads)
    steps = len(list(preparing(job)))
    assert loads == [small_artefact.version]
    # Library, reference, and draws of 64, 128 and 256 rows for windows of 100 to 500.
    assert steps == 5
    assert isinstance(job.source, LogWindows)
    with job.source.open_log() as log:
        frame = job.source.reference(log).frame
    assert job.analyst
    job.analyst.study(frame, frame, job.detector.detect(frame, frame).scores)
    assert loads == [small_artefact.version]


@pytest.mark.slow
def test_the_champions_job_is_prepared(small_artefact: Artefact, tmp_path: Path) -> None:
    """Where the job follows a champion, its first job is the one that is prepared."""
    loads: list[str] = []
    job = _job(small_artefact, tmp_path, loads)
    list(preparing(ChampionTracker(job, lambda: None, list, lambda _: job)))
    assert loads == [small_artefact.version]


def test_another_reference_is_not_prepared(small_artefact: Artefact, tmp_path: Path) -> None:
    """Where a window of the log is the reference, the artefact's rows are of no use."""
    loads: list[str] = []
    assert not list(
        preparing(_job(small_artefact, tmp_path, loads, reference_window="2024-01-01/2024-02-01"))
    )
    assert not loads


def test_what_fails_is_left_to_the_runs(
    small_artefact: Artefact, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An artefact that is gone ends the preparation with a line, and not the job."""
    job = _job(small_artefact, tmp_path, [], artefact=tmp_path / "gone")
    assert not list(preparing(job))
    assert "cannot prepare the first window" in caplog.text


def test_reports_that_can_t_be_rendered_do_not_end_the_job(
    small_artefact: Artefact,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Scores need no Evidently; where no report is wanted it is not asked for."""
    monkeypatch.delitem(sys.modules, "testbed_drift.rendering.figures", raising=False)
    monkeypatch.setitem(sys.modules, "testbed_drift.rendering.library", None)
    settings = _job(small_artefact, tmp_path, []).settings
    import_reports(settings)
    assert not caplog.text
    import_reports(settings.model_copy(update={"html": "always"}))
    assert "cannot prepare the first window: import of testbed_drift.rendering" in caplog.text


def test_chores_are_done_between_runs(small_artefact: Artefact, tmp_path: Path) -> None:
    """Steps of 4 s at an interval of 10 s: three a turn at most, none before a run."""
    now, order = [0.0], list[str]()

    class Noting:
        def run_once(self) -> Any:  # noqa: ANN401 - never looked at
            order.append(f"run at {now[0]:g}")
            return job.run_once()

    def chores() -> Iterator[None]:
        for number in range(4):
            now[0] += 4
            order.append(f"chore {number}")
            yield

    def wait(seconds: float) -> bool:
        now[0] += seconds
        return order.count("chore 3") > 0 and now[0] >= 30

    job = _job(small_artefact, tmp_path, [])
    watch(Noting(), 10.0, lambda: now[0], wait, lambda _: None, chores())
    assert order == [
        "run at 0",
        *("chore 0", "chore 1", "chore 2"),
        "run at 12",
        *("chore 3", "run at 20"),
    ]


def test_a_stop_leaves_chores_undone(small_artefact: Artefact, tmp_path: Path) -> None:
    """A job that is to stop after its first run begins no other work."""
    stops = iter([False, True, True])
    job, chores = _job(small_artefact, tmp_path, []), iter(range(3))
    watch(job, 10.0, job.clock, lambda _: next(stops), lambda _: None, chores)
    assert next(chores) == 0
