"""Where results of tables go beside the terminal, set up once it is known what they are of.

The SDK is imported only where somebody wants metrics.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.publishing.textfile import Textfile
    from testbed_drift.settings import DriftSettings
    from testbed_drift.tables.job import Grouping
    from testbed_drift.tables.publication import Publication
    from testbed_drift.tables.reference import Reference

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
NOWHERE: Final = "none"


@dataclass(slots=True)
class Outlet:
    """Publishes the results of one command, or nothing.

    Attributes:
        settings: whose share of drifted columns decides.
        endpoint: OTLP endpoint; ``none`` pushes nothing.
        textfile: file to write, or None.
    """

    settings: DriftSettings
    endpoint: str = NOWHERE
    textfile: Textfile | None = None
    _publication: Publication | None = field(default=None, init=False)

    @classmethod
    def of(cls, endpoint: str | None, settings: DriftSettings) -> Self:
        """The outlet that options and environment ask for; without any, nothing is pushed.

        Raises:
            DriftSettingsError: the textfile has no folder.
        """
        textfile = None
        if settings.textfile:
            from testbed_drift.publishing.textfile import Textfile  # noqa: PLC0415 - as in __main__._run

            textfile = Textfile.of(settings.textfile)
        return cls(settings, endpoint or os.environ.get(ENDPOINT) or NOWHERE, textfile)

    def begin(self, reference: Reference, settings: DriftSettings, grouping: Grouping) -> None:
        """Say what the results will be of.

        Raises:
            DriftSettingsError: a variable of OpenTelemetry can't be used.
        """
        publication = self._open(reference.name)
        if publication:
            publication.begin(reference, settings, grouping)

    def take(self, group: str | None, result: RunResult, rows: tuple[int, int]) -> None:
        """Take over what became of a window; see :meth:`Publication.take`."""
        if self._publication:
            self._publication.take(group, result, rows)

    def fail(self, result: RunResult) -> None:
        """Take over that the command ended before its time."""
        publication = self._publication or self._open(Path(result.model_version).stem)
        if publication:
            publication.fail(result, self.settings)

    def close(self) -> list[str]:
        """Publish what is left, see :meth:`Publication.end`."""
        return self._publication.end() if self._publication else []

    def _open(self, reference: str) -> Publication | None:
        if self.endpoint != NOWHERE or self.textfile:
            from testbed_drift.tables.publication import Publication  # noqa: PLC0415 - takes a second

            self._publication = Publication(self.endpoint, self.textfile, reference)
        return self._publication
