"""Everything that a run left behind, as frozen data: what verdict and report are made of.

:func:`collect` asks the living stack once and keeps the answers in the run's folder;
:func:`load_evidence` reads the same evidence from that folder at any later time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from testbed_domain.files import read_regular, write_atomic

from testbed.errors import UsageError
from testbed.facts.configured import evaluation_interval
from testbed.facts.ruletests import read_ruletests
from testbed.facts.sources import RunSpan, Sources
from testbed.layout import RunLayout
from testbed.phases import played_phases
from testbed.resources import root
from testbed.snapshot import Snapshot, take_snapshot
from testbed.truth import Json, Truth, read_lines, read_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from testbed.clients.alertmanager import AlertmanagerClient
    from testbed.clients.prometheus import PrometheusClient
    from testbed.facts.ruletests import RuleTests
    from testbed.scenario import Scenario

T = TypeVar("T")
Decision = Literal["NO_ACTION", "ALERT", "RETRAIN"]

SEVERITIES: Final[tuple[Decision, ...]] = ("NO_ACTION", "ALERT", "RETRAIN")
"""Decisions of the drift job, the mildest first."""


class RunInfo(BaseModel):
    """Identity of a run, as ``run.json`` holds it.

    Attributes:
        id: id of the run.
        started: ISO 8601.
        scenario: name of the scenario.
        use_case: name of the use case.
        data: name of the user's data file, or None.
        synthetic: whether the data comes from a generator; None where that is unknown.
        model: name and version.
        seed: seed of the traffic.
        time_scale: how many production seconds pass in one real second.
        without: parts that were left out.
        replicas: processes of the API.
        attached: whether others have started the stack.
        custom_rules: whether other rules than the project's were loaded.
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
    data: str | None = None
    synthetic: bool | None = None
    model: dict[str, str] = Field(default_factory=dict)
    seed: int = 0
    time_scale: float = 1.0
    without: tuple[str, ...] = ()
    replicas: int = 1
    attached: bool = False
    custom_rules: bool = False
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
class Event:
    """One line of the runner's timeline."""

    time: float
    event: str
    name: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ReceivedNotification:
    """One alert of one notification, as the receiver got it; times are Unix seconds.

    Attributes:
        received_at: time of arrival.
        status: ``firing`` or ``resolved``.
        alert: name.
        labels: all that it bears, its name included.
        annotations: rendered.
        starts_at: since when it fires, or None.
        receiver: name of the receiver in Alertmanager.
        ends_at: since when it does not fire any more, or None.
        group_key: of the group that it was sent with.
        delivery: the same for all alerts of one webhook; None in records that don't say.
    """

    received_at: float
    status: str
    alert: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: float | None
    receiver: str
    ends_at: float | None = None
    group_key: str = ""
    delivery: int | None = None


@dataclass(frozen=True, slots=True)
class DriftRun:
    """One run of the drift job.

    Attributes:
        time: Unix time of its end.
        outcome: ``success``, ``insufficient_data`` or ``error``.
        decision: ``NO_ACTION``, ``ALERT``, ``RETRAIN`` or None.
        drift_share: share of drifted columns, or None.
        html: file name of the HTML report below the drift folder, or None.
        json: file name of the JSON report below the drift folder, or None.
        reasons: why it decided so, or why it could not.
        drifted: names of the drifted columns.
        causes: what the decision stands on.
    """

    time: float
    outcome: str
    decision: str | None = None
    drift_share: float | None = None
    html: str | None = None
    json: str | None = None
    reasons: tuple[str, ...] = ()
    drifted: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """All of it.

    Attributes:
        run: identity of the run.
        truth: what the load sent and saw.
        snapshot: what the stack said at the end.
        notifications: what the receiver got until the end, by time of arrival.
        drift_runs: what the drift job did, in order.
        timeline: what the runner did and saw, in order.
        problems: files that are missing or broken, one line each.
    """

    run: RunInfo
    truth: Truth
    snapshot: Snapshot
    notifications: tuple[ReceivedNotification, ...] = ()
    drift_runs: tuple[DriftRun, ...] = ()
    timeline: tuple[Event, ...] = ()
    problems: tuple[str, ...] = ()


def collect(  # noqa: PLR0913 - what the facts of a run come from
    layout: RunLayout,
    prometheus: PrometheusClient,
    alertmanager: AlertmanagerClient | None,
    *,
    scenario: Scenario,
    pages: Mapping[str, str | None],
    log_url: str,
    factor: float,
    rules: Path | None = None,
    source: Path | None = None,
    born: float | None = None,
    ruletests: Callable[[], RuleTests] | None = None,
    clock: Callable[[], float] = time.time,
) -> Evidence:
    """Ask the living stack, keep its answers in ``series.json``, and load all evidence.

    Args:
        layout: the run's folder.
        prometheus: the run's Prometheus.
        alertmanager: the run's Alertmanager; None where the run has none.
        scenario: what was played.
        pages: instance to the text of its ``/metrics`` at the end, or None if unknown; one
            entry for every instance that the run started.
        log_url: SQLAlchemy URL of the prediction log.
        factor: time scale of the run.
        rules: folder of the user's own rule files; None where they are the source's.
        source: folder that the configuration was rendered from; the checkout's by default.
        born: Unix time before the first sample of any part; None is the run's own start.
        ruletests: waits for the rules' own tests where they run already; by default runs them.
        clock: gives Unix seconds.

    Raises:
        UsageError: the run's folder holds no configuration of Prometheus.
    """
    truth = read_truth(layout.truth)
    ended_at = clock()
    timeline = _records(layout.timeline, _event, [])
    started_at = timeline[0].time if timeline else truth.started_at or ended_at
    span = RunSpan(started_at, ended_at, evaluation_interval(layout), born)
    sources = Sources(
        prometheus=prometheus,
        alertmanager=alertmanager,
        layout=layout,
        scenario=scenario,
        factor=factor,
        truth=truth,
        pages=pages,
        log_url=log_url,
        span=span,
        phases=played_phases(timeline, ended_at),
        rules=rules or (source or root()) / "prometheus" / "rules",
        source=source or root(),
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
        raise UsageError(f"{layout.series} is broken or of another version") from error
    return _evidence(layout, read_truth(layout.truth), snapshot)


def _evidence(layout: RunLayout, truth: Truth, snapshot: Snapshot) -> Evidence:
    problems: list[str] = []
    notifications = _records(layout.notifications, _notification, problems)
    drift_runs = _records(layout.drift / "runs.jsonl", _drift_run, problems)
    timeline = _records(layout.timeline, _event, problems)
    end = snapshot.ended_at
    return Evidence(
        run=_read_run(layout.run_file),
        truth=truth,
        snapshot=snapshot,
        notifications=tuple(
            sorted((n for n in notifications if n.received_at <= end), key=lambda n: n.received_at)
        ),
        drift_runs=tuple(r for r in drift_runs if r.time <= end),
        timeline=tuple(timeline),
        problems=tuple(problems),
    )


def _read_run(path: Path) -> RunInfo:
    try:
        return RunInfo.model_validate_json(read_regular(path))
    except FileNotFoundError as error:
        raise UsageError(f"{path.parent} is no run: run.json is missing") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the file"
        raise UsageError(f"{path} is no identity of a run: {where} is wrong") from error


def _records(path: Path, parse: Callable[[Json], T], problems: list[str]) -> list[T]:
    # No such file means that nothing was recorded: no notification, no run of the drift job.
    records = []
    incomplete = 0
    for entry in read_lines(path, problems, required=False):
        try:
            records.append(parse(entry))
        except (KeyError, TypeError, ValueError):
            incomplete += 1
    if incomplete:
        problems.append(f"{path.name}: {incomplete} lines lack a field")
    return records


def _event(entry: Json) -> Event:
    details = {k: v for k, v in entry.items() if k not in {"time", "event", "name"}}
    return Event(float(entry["time"]), str(entry["event"]), str(entry.get("name", "")), details)


def _notification(entry: Json) -> ReceivedNotification:
    received = _unix(entry["received_at"])
    if received is None:
        raise ValueError("a notification without its time of arrival")
    labels = {str(k): str(v) for k, v in entry["labels"].items()}
    return ReceivedNotification(
        received_at=received,
        status=str(entry["status"]),
        alert=str(entry.get("alertname") or labels.get("alertname", "")),
        labels=labels,
        annotations={str(k): str(v) for k, v in (entry.get("annotations") or {}).items()},
        starts_at=_unix(entry.get("starts_at")),
        receiver=str(entry.get("receiver", "")),
        ends_at=_unix(entry.get("ends_at")),
        group_key=str(entry.get("group_key", "")),
        delivery=None if entry.get("delivery") is None else int(entry["delivery"]),
    )


def _drift_run(entry: Json) -> DriftRun:
    time = _unix(entry["time"])
    if time is None:
        raise ValueError("a run of the drift job without its time")
    share = entry.get("drift_share")
    return DriftRun(
        time=time,
        outcome=str(entry["outcome"]),
        decision=entry.get("decision"),
        drift_share=None if share is None else float(share),
        html=entry.get("html"),
        json=entry.get("json"),
        reasons=tuple(map(str, entry.get("reasons") or (entry.get("message", ""),))),
        drifted=tuple(
            name for name, column in (entry.get("columns") or {}).items() if column["drifted"]
        ),
        causes=tuple(map(str, entry.get("causes") or ())),
    )


def _unix(value: object) -> float | None:
    """Unix seconds of a number or an ISO 8601 text; Alertmanager's year 1 means never."""
    if isinstance(value, (int, float)):
        return float(value)
    if not isinstance(value, str) or not value or value.startswith("0001-"):
        return None
    return datetime.fromisoformat(value).timestamp()
