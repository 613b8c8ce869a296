"""Everything that a run left behind, as frozen data: what verdict and report are made of.

:func:`collect` asks the living stack once and keeps the answers in the run's folder;
:func:`load_evidence` reads the same evidence from that folder at any later time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from testbed_domain.files import read_regular, write_atomic
from testbed_domain.problems import problem

from testbed.errors import UsageError
from testbed.facts.baseline import Baseline
from testbed.facts.configured import evaluation_interval
from testbed.facts.ruletests import read_ruletests
from testbed.facts.sources import RunSpan, Sources
from testbed.layout import RunLayout
from testbed.phases import played_phases
from testbed.records import (
    DriftRun,
    ReceivedMessage,
    ReceivedNotification,
    StoredEvent,
    parse_drift_run,
    parse_event,
    parse_message,
    parse_notification,
    read_records,
)
from testbed.resources import root, shipped_rules
from testbed.snapshot import Snapshot, take_snapshot
from testbed.truth import Truth, read_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from testbed.clients.alertmanager import AlertmanagerClient
    from testbed.clients.prometheus import PrometheusClient
    from testbed.facts.ruletests import RuleTests
    from testbed.scenario import Scenario
    from testbed.targets.base import TargetModel

T = TypeVar("T")


class RunInfo(BaseModel):
    """Identity of a run, as ``run.json`` holds it.

    Attributes:
        id: id of the run.
        started: ISO 8601.
        scenario: name of the scenario.
        use_case: name of the use case.
        service: name of the user's own service; None where the bundled API was tested.
        data: name of the user's data file, or None.
        synthetic: whether the data comes from a generator; None where that is unknown.
        model: name and version.
        seed: seed of the traffic.
        time_scale: how many production seconds pass in one real second.
        without: components that were left out.
        replicas: processes of the API.
        attached: whether others have started the stack.
        custom_rules: whether other rules than the project's were loaded.
        rules_given: file or folder of the user's own rules, as it was given; None of the project's.
        rules_aside: the user's rules that were not played, one line each with the reason.
        own_jobs: scrape jobs of the user's own Prometheus configuration.
        custom_routes: whether Alertmanager had another configuration than the project's.
        export_interval: real seconds between two exports of metrics; None where unknown.
        drift_interval: real seconds between two runs of the drift job; None where unknown.
        version: version of the testbed.
        packages: Python package to version.
        tools: tool of the stack to version.
        machine: what the run ran on.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    scenario: str
    started: str = ""
    use_case: str = ""
    service: str | None = None
    data: str | None = None
    synthetic: bool | None = None
    model: dict[str, str] = Field(default_factory=dict)
    seed: int = 0
    time_scale: float = 1.0
    without: tuple[str, ...] = ()
    replicas: int = 1
    attached: bool = False
    custom_rules: bool = False
    rules_given: str | None = None
    rules_aside: tuple[str, ...] = ()
    custom_routes: bool = False
    own_jobs: tuple[str, ...] = ()
    export_interval: float | None = None
    drift_interval: float | None = None
    version: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    tools: dict[str, str] = Field(default_factory=dict)
    machine: dict[str, Any] = Field(default_factory=dict)

    @property
    def data_source(self) -> str:
        """Where the rows come from, said plainly."""
        if self.synthetic:
            return "synthetic: drawn from a generator, not real data"
        if self.data is not None:
            return f"real data from {self.data}"
        return "unknown" if self.synthetic is None else "real data"


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it.

    Attributes:
        run: identity of the run.
        truth: what the load sent and saw.
        snapshot: what the stack said at the end.
        notifications: what the receiver got until the end, by time of arrival.
        earlier: what it got meanwhile of alerts that were over before the run.
        messages: what integrations of a user's Alertmanager configuration got, by time of arrival.
        drift_runs: what the drift job did, in order.
        timeline: what the runner did and saw, in order.
        problems: files that are missing or broken, one line each.
    """

    run: RunInfo
    truth: Truth
    snapshot: Snapshot
    notifications: tuple[ReceivedNotification, ...] = ()
    earlier: tuple[ReceivedNotification, ...] = ()
    messages: tuple[ReceivedMessage, ...] = ()
    drift_runs: tuple[DriftRun, ...] = ()
    timeline: tuple[StoredEvent, ...] = ()
    problems: tuple[str, ...] = ()


def collect(  # noqa: PLR0913 - what the facts of a run come from
    layout: RunLayout,
    prometheus: PrometheusClient,
    alertmanager: AlertmanagerClient | None,
    *,
    scenario: Scenario,
    target: TargetModel,
    pages: Mapping[str, str | None],
    log_url: str,
    factor: float,
    rules: Path | None = None,
    source: Path | None = None,
    born: float | None = None,
    earlier: Mapping[str, str | None] | None = None,
    drift_since: float | None = None,
    ruletests: Callable[[], RuleTests] | None = None,
    clock: Callable[[], float] = time.time,
) -> Evidence:
    """Ask the living stack, keep its answers in ``series.json``, and load all evidence.

    Args:
        layout: the run's folder.
        prometheus: the run's Prometheus.
        alertmanager: the run's Alertmanager; None where the run has none.
        scenario: what was played.
        target: the system under test.
        pages: instance to the text of its ``/metrics`` at the end, or None if unknown; one
            entry for every instance that the run started.
        log_url: SQLAlchemy URL of the prediction log.
        factor: time scale of the run.
        rules: folder of the user's own rule files; None where they are the source's.
        source: folder that the configuration was rendered from; the checkout's by default.
        born: Unix time before the first sample of any component; None is the run's own start.
        earlier: instance to the text of its ``/metrics`` when the run began; None: nothing counted.
        drift_since: Unix time at which the drift job began anew; None where it did not.
        ruletests: waits for the rules' own tests where they run already; by default runs them.
        clock: gives Unix seconds.

    Raises:
        UsageError: the run's folder holds no configuration of Prometheus.
    """
    truth = read_truth(layout.truth)
    ended_at = clock()
    timeline = read_records(layout.timeline, parse_event, [])
    started_at = timeline[0].time if timeline else truth.started_at or ended_at
    span = RunSpan(started_at, ended_at, evaluation_interval(layout), born)
    sources = Sources(
        prometheus=prometheus,
        alertmanager=alertmanager,
        layout=layout,
        scenario=scenario,
        factor=factor,
        truth=truth,
        target=target,
        target_pages=pages,
        log_url=log_url,
        span=span,
        phases=played_phases(timeline, ended_at),
        rules=rules or shipped_rules(source),
        source=source or root(),
        baseline=Baseline.of((earlier or {}) if target.instrumented else {}),
        pages_before=earlier or {},
        drift_since=drift_since,
    )
    snapshot = take_snapshot(sources, ruletests or partial(read_ruletests, source or root(), rules))
    write_atomic(layout.series, snapshot.model_dump_json())
    return _evidence(layout, truth, snapshot)


def load_evidence(layout: RunLayout) -> Evidence:
    """Read the evidence of a run from its folder.

    Raises:
        UsageError: the folder holds no finished run.
    """
    _read_run(layout.run_file)  # says first that it is no run
    try:
        snapshot = Snapshot.model_validate_json(read_regular(layout.series))
    except FileNotFoundError as error:
        raise UsageError(f"{layout.root} holds no finished run: series.json is missing") from error
    except OSError as error:
        raise UsageError(f"cannot read {layout.series}: {error.strerror}") from error
    except ValidationError as error:
        raise UsageError(
            f"{layout.series} is broken or of another version; play the run again"
        ) from error
    return _evidence(layout, read_truth(layout.truth), snapshot)


def _evidence(layout: RunLayout, truth: Truth, snapshot: Snapshot) -> Evidence:
    problems: list[str] = []
    notifications = read_records(layout.notifications, parse_notification, problems)
    earlier = read_records(layout.earlier_notifications, parse_notification, problems)
    messages = read_records(layout.messages, parse_message, problems)
    drift_runs = read_records(layout.drift / "runs.jsonl", parse_drift_run, problems)
    timeline = read_records(layout.timeline, parse_event, problems)
    end = snapshot.ended_at
    return Evidence(
        run=_read_run(layout.run_file),
        truth=truth,
        snapshot=snapshot,
        notifications=tuple(
            sorted((n for n in notifications if n.received_at <= end), key=lambda n: n.received_at)
        ),
        earlier=tuple(each for each in earlier if each.received_at <= end),
        messages=tuple(
            sorted((m for m in messages if m.received_at <= end), key=lambda m: m.received_at)
        ),
        drift_runs=tuple(r for r in drift_runs if r.time <= end),
        timeline=tuple(timeline),
        problems=tuple(problems),
    )


def _read_run(path: Path) -> RunInfo:
    try:
        return RunInfo.model_validate_json(read_regular(path))
    except FileNotFoundError as error:
        raise UsageError(f"{path.parent} is not a run: run.json is missing") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        raise UsageError(
            f"{path} is not the identity of a run: {problem(error.errors())}"
        ) from error
