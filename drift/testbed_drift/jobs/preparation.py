"""What a job that watches learns and imports before the first window needs it.

The first window would otherwise pay for all that, in seconds in which no run ends; where time is
scaled they are minutes. While there is nothing to evaluate yet there is time.
"""

from __future__ import annotations

import contextlib
import logging
from importlib import import_module
from typing import TYPE_CHECKING

from testbed_domain.artefact import load_artefact

from testbed_drift.jobs.championtracker import ChampionTracker
from testbed_drift.jobs.job import DriftJob
from testbed_drift.rows.frames import reference_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_drift.jobs.watching import Watched
    from testbed_drift.settings import DriftSettings

logger = logging.getLogger(__name__)


def import_reports(settings: DriftSettings) -> None:
    """Import what renders reports, where any will be: three seconds that can't be divided.

    Meant for before the first run: between two runs they would delay the second one.
    """
    if settings.html != "never":
        with _left_to_the_runs():
            import_module("testbed_drift.rendering.figures")


def full(job: Watched) -> bool:
    """Whether a window is full that need not wait for the interval."""
    first = job.job if isinstance(job, ChampionTracker) else job
    return isinstance(first, DriftJob) and first.ready()


def preparing(job: Watched) -> Iterator[None]:
    """Prepare a job step by step; where a step fails, the first window does what it can."""
    first = job.job if isinstance(job, ChampionTracker) else job
    if not isinstance(first, DriftJob):
        return
    with _left_to_the_runs():
        yield from _steps(first)


@contextlib.contextmanager
def _left_to_the_runs() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - the runs report what is wrong with them
        logger.warning("cannot prepare the first window: %s", " ".join(str(error).split()))


def _steps(job: DriftJob) -> Iterator[None]:
    settings, reader = job.settings, job.source.reader
    if job.analyst is not None and settings.reference_window is None:
        # The rows that the log holds as reference, which may not be in it yet.
        reference = reference_frame(load_artefact(settings.artefact), reader.kinds)
        yield from job.analyst.preparing(reference, reader.min_rows, reader.max_rows)
