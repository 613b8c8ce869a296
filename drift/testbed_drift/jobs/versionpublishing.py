"""Results of further model versions as metrics, beside those of the job's own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import CallbackOptions, NoOpMeter, Observation
from testbed_domain.endings import reason
from testbed_otel import names

from testbed_drift.evaluation.results import OUTCOMES, RunResult
from testbed_drift.jobs.versionjobs import VersionRun, folder
from testbed_drift.publishing.gauges import Publisher
from testbed_drift.storage.reports import ReportStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from opentelemetry.metrics import Counter, Meter

    Read = Callable[[CallbackOptions], Iterable[Observation]]

logger = logging.getLogger(__name__)

_DISTINGUISHED: Final = {
    metric.name for metric in names.METRICS if names.MODEL_VERSION in metric.attributes
}
_NOBODY: Final = NoOpMeter("testbed_drift")


class _VersionMeter:
    """A meter for what distinguishes versions; what speaks of the job as a whole is left out.

    Args:
        meter: makes the instruments; each version has one of its own, for two instruments of one
            name in one meter would be one.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.heard = True

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        """A counter that counts where versions are distinguished."""
        meter = self._meter if name in _DISTINGUISHED else _NOBODY
        return meter.create_counter(name, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[Read], unit: str = "", description: str = ""
    ) -> Any:  # noqa: ANN401 - nobody uses it
        """A gauge that shows nothing while the version is not heard of."""
        if name not in _DISTINGUISHED:
            return None

        def read(options: CallbackOptions) -> Iterable[Observation]:
            points = (point for callback in callbacks for point in callback(options))
            return list(points) if self.heard else []

        return self._meter.create_observable_gauge(name, [read], unit, description)


class VersionPublishers:
    """One publisher per version.

    Args:
        meter: gives the meter of a scope.
        output: directory of the job's reports, below which each version keeps its values; None
            keeps nothing.
    """

    def __init__(self, meter: Callable[[str], Meter], output: Path | None = None) -> None:
        self._meter = meter
        self._output = output
        self._publishers: dict[str, tuple[Publisher, _VersionMeter]] = {}
        self._states: dict[str, str] = {}
        metric = names.DRIFT_VERSION_STATE
        meter("testbed_drift.versions").create_observable_gauge(
            metric.name, [self._read_states], metric.unit, metric.help
        )

    def publish(self, version: str, found: VersionRun | RunResult) -> None:
        """Take over what a run found; of one that broke before it ran, that it did."""
        result = found.result if isinstance(found, VersionRun) else found
        self._states = {**self._states, version: result.outcome}
        if isinstance(found, VersionRun):
            publisher, meter = self._publisher(version, found)
            meter.heard = True
            try:
                publisher.publish(result)
            except OSError as error:
                logger.error("version %s: cannot store the run: %s", version, reason(error))  # noqa: TRY400 - one line

    @property
    def known(self) -> set[str]:
        """Versions that were published."""
        return set(self._publishers)

    def forget(self, versions: set[str]) -> None:
        """End the values of all versions but these: no row of the window is theirs."""
        self._states = {name: state for name, state in self._states.items() if name in versions}
        for version, (_, meter) in self._publishers.items():
            meter.heard = version in versions

    def _publisher(self, version: str, found: VersionRun) -> tuple[Publisher, _VersionMeter]:
        known = self._publishers.get(version)
        if known is None:
            meter = _VersionMeter(self._meter(f"testbed_drift.version.{version}"))
            state = ReportStore(self._output / folder(version)) if self._output else None
            publisher = Publisher(meter, version, found.columns, state)  # type: ignore[arg-type] # of a meter it needs these two
            known = self._publishers[version] = publisher, meter
        return known

    def _read_states(self, _options: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(
                float(state == outcome), {names.MODEL_VERSION: version, names.OUTCOME: outcome}
            )
            for version, state in self._states.items()
            for outcome in OUTCOMES
        ]
