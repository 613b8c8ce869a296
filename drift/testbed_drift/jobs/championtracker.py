"""Watching whichever version is the champion now."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.jobs.watching import Watched

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ChampionTracker:
    """A job that another one takes over from where the API has another champion.

    Attributes:
        job: of the champion so far.
        champion: asks the API for the champion's version; None where that is not known.
        known: folders of artefacts that the champion may be one of.
        make: makes the job of an artefact.
    """

    job: Watched
    champion: Callable[[], str | None]
    known: Callable[[], Iterable[Path]]
    make: Callable[[Path], Watched]

    @property
    def version(self) -> str:
        """The version that is watched."""
        return self.job.version

    def run_once(self) -> RunResult:
        """Run once for the champion; where nobody knows its artefact, for the one so far."""
        version = self.champion()
        if version is not None and version != self.job.version:
            path = find(version, self.known())
            if path is None:
                logger.warning("the API's champion is %s, whose artefact is not known", version)
            else:
                self._take_over(path, version)
        return self.job.run_once()

    def _take_over(self, path: Path, version: str) -> None:
        before = self.job.version
        try:
            self.job = self.make(path)
        except DomainError as error:
            logger.error("cannot watch champion %s: %s", version, error)  # noqa: TRY400 - one line
        else:
            logger.warning("watching %s, which is champion now, and no longer %s", version, before)


def find(version: str, known: Iterable[Path]) -> Path | None:
    """The folder of a version's artefact."""
    for path in known:
        try:
            if load_artefact(path).version == version:
                return path
        except DomainError:
            continue
    return None
