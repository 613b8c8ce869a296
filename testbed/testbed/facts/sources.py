"""Where facts come from: the living stack and the files of the run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testbed.facts.baseline import Baseline

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.clients.alertmanager import AlertmanagerClient
    from testbed.clients.prometheus import PrometheusClient
    from testbed.layout import RunLayout
    from testbed.phases import PhaseRow
    from testbed.scenario import Scenario
    from testbed.targets.base import TargetModel
    from testbed.truth import Truth


@dataclass(frozen=True, slots=True)
class RunSpan:
    """The time of a run.

    Attributes:
        start: Unix time.
        end: Unix time.
        step: evaluation interval of the rules in real seconds, where their group has no other;
        resolution of charts.
        born: Unix time from which on all components counted; None where they began with the run.
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
        target: the system under test.
        target_pages: text of the metrics of each of its instances at the end, or None if unknown.
        pages_before: the same when the run began; empty where it began with the run.
        log_url: SQLAlchemy URL of the prediction log.
        span: the time of the run.
        phases: as they were played, in order.
        rules: folder of the rule files that the run's own were made of; None where unknown.
        source: folder that the configuration was rendered from; None where unknown.
        baseline: what the API had counted before.
        drift_since: Unix time from which on the drift job counted; None where with the stack.
    """

    prometheus: PrometheusClient
    alertmanager: AlertmanagerClient | None
    layout: RunLayout
    scenario: Scenario
    factor: float
    truth: Truth
    target: TargetModel
    target_pages: Mapping[str, str | None]
    log_url: str
    span: RunSpan
    phases: tuple[PhaseRow, ...] = ()
    rules: Path | None = None
    source: Path | None = None
    baseline: Baseline = field(default_factory=Baseline)
    drift_since: float | None = None
    pages_before: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def pages(self) -> Mapping[str, str | None]:
        """Of the bundled API, whose metrics are known; none of another target."""
        return self.target_pages if self.target.instrumented else {}

    def real(self, production: float) -> float:
        """Real seconds of a production duration."""
        return production / self.factor
