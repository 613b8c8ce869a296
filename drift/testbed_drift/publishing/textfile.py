"""Metrics of a run that ends, in a file for node_exporter's textfile collector.

Prometheus forgets what nobody sends for five minutes; a file is scraped for as long as it is there.
It is also what the next run goes on with: counters count on, and a run that decides nothing leaves
the decision before it standing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from prometheus_client import Metric as Family
from prometheus_client import write_to_textfile
from prometheus_client.parser import text_string_to_metric_families
from testbed_domain.files import read_regular
from testbed_otel import names
from testbed_otel.aliases import ALIASES
from testbed_otel.names import DRIFT_JOB_METRICS, label

from testbed_drift.settings import ENV_PREFIX, DriftSettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from prometheus_client import CollectorRegistry
    from prometheus_client.samples import Sample

    Key = tuple[str, frozenset[tuple[str, str]]]

_JOB: Final = label(names.DRIFT_JOB)
# What speaks of the process that wrote, and ends with it, is left out.
_WRITTEN: Final = {metric.prometheus for metric in DRIFT_JOB_METRICS} | {
    alias.name
    for aliases in ALIASES.values()
    for alias in aliases
    if alias.source in DRIFT_JOB_METRICS
}
# What speaks of runs, whatever they found.
_OF_RUNS: Final = {
    metric.prometheus
    for metric in DRIFT_JOB_METRICS
    if names.MODEL_VERSION not in metric.attributes
}


@dataclass(frozen=True, slots=True)
class Textfile:
    """A file of metrics, which is always whole.

    Attributes:
        path: the file; its stem becomes the label ``drift_job`` of every series, which reports the
            files of several jobs in one folder apart.

    Raises:
        DriftSettingsError: its folder is not there.
    """

    path: Path

    def __post_init__(self) -> None:
        if not self.path.parent.is_dir():
            raise DriftSettingsError(
                f"{ENV_PREFIX}TEXTFILE: there is no folder {self.path.parent}; give the one of "
                "node_exporter's --collector.textfile.directory"
            )

    @classmethod
    def of(cls, path: Path | None) -> Self | None:
        """The file, or None where none is wanted."""
        return None if path is None else cls(path)

    def write(self, registry: CollectorRegistry, *, evaluated: bool) -> None:
        """Write what a process measured, with what still holds of the file before.

        Runs that end at once take turns: each counts on from what the other has written.

        Args:
            registry: shows what it measured.
            evaluated: whether it decided anything; else all values of the last decision still hold.

        Raises:
            OSError: it can't be written; then it is as it was.
        """
        with _alone(self.path):
            families = merged(
                self._before(), registry.collect(), self.path.stem, evaluated=evaluated
            )
            write_to_textfile(str(self.path), _Collected(families))

    def _before(self) -> list[Family]:
        try:
            text = read_regular(self.path).decode()
            return list(text_string_to_metric_families(text))
        except FileNotFoundError:
            return []
        except ValueError:  # somebody else's; it is replaced
            return []


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lock the file itself meanwhile; where there is none, it begins empty.

    Whoever had the lock has put a new file in the place of the locked one, which then is to be
    locked in its turn.
    """
    while True:
        handle = os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _is(path, handle):
                yield
                return
        finally:
            os.close(handle)


def _is(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:  # deleted meanwhile
        return False


class _Collected:
    """Families that were collected already."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Family]:
        """All of them."""
        return self._families


def merged(
    before: Iterable[Family], now: Iterable[Family], job: str, *, evaluated: bool
) -> list[Family]:
    """What a file shows after a run.

    Args:
        before: what it showed.
        now: what the run's process shows.
        job: label value of all series.
        evaluated: whether the run decided anything.

    Returns:
        Families by name: counters with what was counted before, gauges of this run, and those
        before it that still hold.
    """
    families: dict[str, Family] = {}
    values: dict[Key, float] = {}
    old = {_key(sample): (family, sample) for family in before for sample in family.samples}
    for family in now:
        for sample in family.samples:
            if sample.name in _WRITTEN:
                key = _key(sample, job)
                counted = family.type == "counter" and key in old
                values[key] = sample.value + (old[key][1].value if counted else 0.0)
                families.setdefault(sample.name, _empty(family))
    for key, (family, sample) in old.items():
        holds = not evaluated or sample.name in _OF_RUNS
        if holds and key not in values and sample.name in _WRITTEN:
            values[key] = sample.value
            families.setdefault(sample.name, _empty(family))
    for (name, labels), value in values.items():
        families[name].add_sample(name, dict(labels), value)
    return [families[name] for name in sorted(families)]


def _key(sample: Sample, job: str | None = None) -> Key:
    mark = {} if job is None else {_JOB: job}
    return sample.name, frozenset({**sample.labels, **mark}.items())


def _empty(family: Family) -> Family:
    return Family(family.name, family.documentation, family.type)
