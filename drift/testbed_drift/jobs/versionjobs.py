"""Jobs of the model versions beside the one that the drift job is set up for.

Each lives in one process, with all that it has learnt, and only its results leave it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.artefact import MANIFEST, Artefact, load_artefact
from testbed_domain.errors import DomainError
from testbed_domain.files import read_regular

from testbed_drift.jobs.builder import JobBuilder
from testbed_drift.jobs.job import DriftJob
from testbed_drift.jobs.replay import NoPublisher
from testbed_drift.rows.frames import kinds_of
from testbed_drift.scoring.calibration import FILE, Calibration
from testbed_drift.scoring.limits import ColumnLimits, calibrated
from testbed_drift.storage.reports import ReportStore

if TYPE_CHECKING:
    from testbed_domain.logstore import LoggedVersion

    from testbed_drift.evaluation.results import RunResult
    from testbed_drift.settings import DriftSettings


class UnknownVersionError(DomainError):
    """A model version of which nobody knows the schema."""


@dataclass(frozen=True, slots=True)
class VersionTask:
    """What a process needs to evaluate a version.

    Attributes:
        settings: those of the whole job.
        name: name of the model.
        version: version of the model.
    """

    settings: DriftSettings
    name: str
    version: str

    @classmethod
    def of(cls, settings: DriftSettings, found: LoggedVersion) -> VersionTask:
        """The task of a version that the log holds."""
        return cls(settings, found.model_name, found.model_version)


@dataclass(frozen=True, slots=True)
class VersionRun:
    """One run for a version.

    Attributes:
        result: what became of it.
        columns: features of the version.
    """

    result: RunResult
    columns: tuple[str, ...]


# Jobs of this process. A version always comes to the same process, so each is here at most once.
_JOBS: Final[dict[tuple[str, Path], DriftJob]] = {}


def run_version(task: VersionTask) -> VersionRun:
    """Run once for a version, with what its earlier runs in this process have learnt.

    Raises:
        UnknownVersionError: nobody knows its schema.
    """
    key = task.version, task.settings.output
    if key not in _JOBS:
        _JOBS[key] = job_of(task)
    job = _JOBS[key]
    return VersionRun(job.run_once(), tuple(job.source.reader.kinds))


def job_of(task: VersionTask) -> DriftJob:
    """The job of one version; its reports go to a folder of its own.

    Raises:
        UnknownVersionError: nobody knows its schema.
    """
    settings, artefact = task.settings, _artefact(task)
    kinds = kinds_of(artefact.schema)
    own = artefact.version == task.version
    calibration = None
    if own and not settings.reference_window and (artefact.path / FILE).exists():
        calibration = Calibration.load(artefact.path / FILE)
        calibration.verify_version(artefact.version)
    limits = ColumnLimits.of(settings, calibration)
    changes: dict[str, object] = {"output": settings.output / folder(task.version)}
    if settings.segment not in kinds:
        changes["segment"] = None
    settings = calibrated(settings, calibration).model_copy(update=changes)
    builder = JobBuilder(settings, task.version, kinds, artefact.schema, limits, calibration)
    # Publishing is the parent's part, which has the telemetry.
    return builder.build(
        builder.log(), ReportStore(settings.output), NoPublisher(), segments=builder.segments()
    )


def folder(version: str) -> str:
    """Name of the folder of a version's reports, below those of the job's own."""
    return "version-" + re.sub(r"[^A-Za-z0-9._-]+", "-", version)


def _artefact(task: VersionTask) -> Artefact:
    """The version's own artefact, or one of the same model, whose schema is as good."""
    for path in _folders(task.settings.artefacts):
        if _version(path) == task.version:
            return load_artefact(path)
    artefact = load_artefact(task.settings.artefact)
    if artefact.name == task.name:
        return artefact
    raise UnknownVersionError(
        f"model {task.name} {task.version} has no known columns: put its artefact into a "
        "folder of TESTBED_DRIFT_ARTEFACTS"
    )


def _folders(root: Path | None) -> list[Path]:
    return sorted(path.parent for path in root.glob(f"*/{MANIFEST}")) if root else []


def _version(path: Path) -> str | None:
    try:
        found = json.loads(read_regular(path / MANIFEST))
        return str(found["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
