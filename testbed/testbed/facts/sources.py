"""Where facts come from: the living stack and the files of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.clients.alertmanager import AlertmanagerClient
    from testbed.clients.prometheus import PrometheusClient
    from testbed.layout import RunLayout
    from testbed.phases import PhaseRow
    from testbed.scenario import Scenario
    from testbed.truth import Truth


@dataclass(frozen=True, slots=True)
class RunSpan:
    """The time of a run.

    Attributes:
        start: Unix time.
        end: Unix time.
        step: evaluation interval of the rules in real seconds, where their group has no other;
        resolution of charts.
        born: Unix time from which on all parts counted; None where they began with the run.
    """

    start: float
    end: float
    step: float
    born: float | None = None

    @property
    def since(self) -> float:
        """From when on everything is the run's own, and counted from 0."""
        return self.start if self.born is None else self.born


@dataclass(frozen=True, slots=True)
class Sources:
    """All that a reader of facts may ask.

    Attributes:
        prometheus: the run's Prometheus, still alive.
        alertmanager: the run's Alertmanager; None where the run has none.
        layout: files of the run, with its rendered configuration.
        scenario: durations in production seconds.
        factor: production seconds per real second.
        truth: what the load sent and saw.
        pages: API instance to the text of its ``/metrics`` at the end, or None if unknown.
        log_url: SQLAlchemy URL of the prediction log.
        span: the time of the run.
        phases: as they were played, in order.
        rules: folder of the rule files that the run's own were made of; None where unknown.
        source: folder that the configuration was rendered from; None where unknown.
    """

    prometheus: PrometheusClient
    alertmanager: AlertmanagerClient | None
    layout: RunLayout
    scenario: Scenario
    factor: float
    truth: Truth
    pages: Mapping[str, str | None]
    log_url: str
    span: RunSpan
    phases: tuple[PhaseRow, ...] = ()
    rules: Path | None = None
    source: Path | None = None

    def real(self, production: float) -> float:
        """Real seconds of a production duration."""
        return production / self.factor
