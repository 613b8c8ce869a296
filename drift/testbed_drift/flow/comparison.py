"""One comparison of two months of one model: what a worker is sent, and what it does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed_drift.settings import DriftSettings
from testbed_drift.storage.reports import ReportStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.artefact import Artefact

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.evaluation.segmentdrift import SegmentWorkers
    from testbed_drift.flow.months import MonthPair

# Rows of a month that are evaluated unless a setting says otherwise; the newest stay.
MONTH_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class MonthComparison:
    """Two months of one model.

    Attributes:
        model_version: whose rows.
        settings: both windows, the log, the artefact and the folder of the reports, which every
            worker must reach under these names.
    """

    model_version: str
    settings: DriftSettings

    @property
    def name(self) -> str:
        """What is compared, in one phrase."""
        before, now = self.settings.reference_window, self.settings.current_window
        return f"{self.model_version}: {before and before.name} vs {now and now.name}"

    def run(self, workers: SegmentWorkers | None = None) -> RunResult:
        """Compare and write the reports; a failure is an outcome.

        Nothing is published or recorded, and nobody claims the folder: that is the part of who
        sent the work, in the order of the months, since workers end in any.

        Args:
            workers: score the segments; None does it in this process.
        """
        from testbed_drift.jobs.builder import JobBuilder  # noqa: PLC0415 - takes seconds
        from testbed_drift.jobs.replay import NoPublisher  # noqa: PLC0415 - the same

        builder = JobBuilder.of_artefact(self.settings)
        job = builder.build(
            builder.log(),
            _ReportFiles(self.settings.output),
            NoPublisher(),
            once=True,
            segments=builder.segments(workers),
            analyst=builder.analyst(),
        )
        return job.run_once()


class _ReportFiles(ReportStore):
    """The reports without the list of runs."""

    def append_run(self, record: dict[str, Any]) -> None:
        """Nowhere."""


def comparisons(
    settings: DriftSettings, artefacts: Sequence[Artefact], months: Sequence[MonthPair]
) -> tuple[MonthComparison, ...]:
    """Every pair of months of every model, models first.

    Several models have a folder of reports each, since the files are named after months only.

    Args:
        settings: what all comparisons share.
        artefacts: the models.
        months: pairs of months, oldest first.
    """
    given = settings.model_fields_set
    usual = {"max_rows": max(MONTH_ROWS, settings.min_rows), "html": "always"}
    common = {name: value for name, value in usual.items() if name not in given}
    found = []
    for artefact in artefacts:
        output = settings.output / _folder(artefact.version) if artefacts[1:] else settings.output
        found += [
            MonthComparison(
                artefact.version,
                settings.model_copy(
                    update=common
                    | {
                        "artefact": artefact.path,
                        "output": output,
                        "reference_window": pair.reference.span,
                        "current_window": pair.current.span,
                    }
                ),
            )
            for pair in months
        ]
    return tuple(found)


def _folder(version: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", version)
