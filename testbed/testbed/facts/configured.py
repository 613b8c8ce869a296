"""What the rendered configuration of a run says: intervals, scrape targets and rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.yamlfile import read_mapping
from testbed_rules.timescale import MINIMUM_INTERVAL, parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.layout import RunLayout

DEFAULT_INTERVAL: Final = "1m"
"""Prometheus's own, for scrapes and evaluations, where its file says nothing."""


ROUNDING: Final = 0.0015
"""Seconds: durations are written in whole milliseconds."""


@dataclass(frozen=True, slots=True)
class ConfiguredRule:
    """A rule as a file has it; durations in the seconds of that file.

    Attributes:
        kind: ``alerting`` or ``recording``.
        name: name of the alert, or of the recorded series.
        expression: PromQL.
        for_: ``for``.
        keep_firing: ``keep_firing_for``.
        labels: labels that it sets.
        annotations: templates.
    """

    kind: str
    name: str
    expression: str
    for_: float = 0.0
    keep_firing: float = 0.0
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ConfiguredGroup:
    """A rule group of a file; ``interval`` is None where the group leaves it to Prometheus."""

    file: str
    name: str
    interval: float | None
    rules: tuple[ConfiguredRule, ...]


@dataclass(frozen=True, slots=True)
class Configured:
    """What Prometheus was configured with, in real seconds.

    Attributes:
        evaluation_interval: of groups that have none of their own.
        scrape_interval: of jobs that have none of their own.
        jobs: scrape job to its interval.
        targets: scrape job to its fixed targets; empty where a file lists them.
        groups: of the rendered rule files.
    """

    evaluation_interval: float
    scrape_interval: float
    jobs: Mapping[str, float]
    targets: Mapping[str, tuple[str, ...]]
    groups: tuple[ConfiguredGroup, ...]


def read_configured(layout: RunLayout) -> Configured:
    """Read it from ``config/``.

    Raises:
        UsageError: a file is missing or broken.
    """
    path = layout.config / "prometheus.yml"
    document = read_mapping(path)
    intervals = document.get("global") or {}
    scrape = _interval(intervals, "scrape_interval")
    jobs = document.get("scrape_configs") or ()
    return Configured(
        evaluation_interval=_interval(intervals, "evaluation_interval"),
        scrape_interval=scrape,
        jobs={
            str(job["job_name"]): parse_duration(str(job["scrape_interval"]))
            if "scrape_interval" in job
            else scrape
            for job in jobs
        },
        targets={
            str(job["job_name"]): tuple(
                str(target)
                for group in job.get("static_configs") or ()
                for target in group["targets"]
            )
            for job in jobs
        },
        groups=read_groups(layout.config / "rules"),
    )


def interval_differences(configured: Configured, source: Path, factor: float) -> tuple[str, ...]:
    """How intervals of a run differ from those of its source, divided by the time scale.

    Args:
        configured: of the run.
        source: the ``prometheus.yml`` that the run's own was made of.
        factor: time scale.

    Raises:
        UsageError: the source is missing or broken.
    """
    document = read_mapping(source)
    intervals = document.get("global") or {}
    scrape = scaled_interval(_interval(intervals, "scrape_interval"), factor)
    lines = _interval_line(
        "evaluation_interval",
        configured.evaluation_interval,
        scaled_interval(_interval(intervals, "evaluation_interval"), factor),
    )
    for job in document.get("scrape_configs") or ():
        name = str(job["job_name"])
        own = job.get("scrape_interval")
        wanted = scrape if own is None else scaled_interval(parse_duration(str(own)), factor)
        if name in configured.jobs:
            lines += _interval_line(f"scrape_interval of {name}", configured.jobs[name], wanted)
    return tuple(lines)


def scaled_interval(production: float, factor: float) -> float:
    """Real seconds of an interval; worked out here once more than where files are rendered."""
    return max(production / factor, min(production, MINIMUM_INTERVAL))


def _interval_line(what: str, found: float, wanted: float) -> list[str]:
    if abs(found - wanted) <= ROUNDING:
        return []
    return [f"{what} is {found:g} s, and must be {wanted:g} s at this time scale"]


def evaluation_interval(layout: RunLayout) -> float:
    """Real seconds between two evaluations of rules whose group says nothing else.

    Raises:
        UsageError: ``config/prometheus.yml`` is missing or broken.
    """
    document = read_mapping(layout.config / "prometheus.yml")
    return _interval(document.get("global") or {}, "evaluation_interval")


def read_groups(folder: Path) -> tuple[ConfiguredGroup, ...]:
    """The rule groups of all files of a folder, under the file names that a run gives them.

    Raises:
        UsageError: a file is broken.
    """
    return groups_in({path.name: read_mapping(path) for path in sorted(folder.glob("*.yml"))})


def groups_in(files: Mapping[str, Mapping[str, Any]]) -> tuple[ConfiguredGroup, ...]:
    """The rule groups of parsed rules files, by file name."""
    return tuple(
        ConfiguredGroup(
            file=name,
            name=str(group["name"]),
            interval=parse_duration(str(group["interval"])) if "interval" in group else None,
            rules=tuple(_rule(rule, group.get("labels")) for rule in group.get("rules") or ()),
        )
        for name, document in files.items()
        for group in document.get("groups") or ()
    )


def _rule(rule: Mapping[str, Any], of_group: Mapping[str, Any] | None) -> ConfiguredRule:
    labels = {**(of_group or {}), **(rule.get("labels") or {})}
    return ConfiguredRule(
        kind="alerting" if "alert" in rule else "recording",
        name=str(rule.get("alert") or rule.get("record") or ""),
        expression=str(rule["expr"]),
        for_=parse_duration(str(rule.get("for", "0"))),
        keep_firing=parse_duration(str(rule.get("keep_firing_for", "0"))),
        labels={str(k): str(v) for k, v in labels.items()},
        annotations={str(k): str(v) for k, v in (rule.get("annotations") or {}).items()},
    )


def _interval(intervals: Mapping[str, Any], key: str) -> float:
    return parse_duration(str(intervals.get(key, DEFAULT_INTERVAL)))
