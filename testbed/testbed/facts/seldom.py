"""Whether the source's own intervals are those for which its rules are made.

A run's intervals are held against those of its source, so one that is too long there is in both.
Three witnesses say what is too long: the tests of the rules name the interval at which they were
evaluated; a rule's ``for`` has to hold a few scrapes of its target, or a single look decides; and
points must not wait for longer in the Collector than a process takes to make the next ones. All
durations are those of production: a time scale may take the intervals up to their shortest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_domain.yamlfile import read_mapping
from testbed_rules.selectors import Selector
from testbed_rules.timescale import format_duration, parse_duration

from testbed.charts import StoredModel
from testbed.facts.configured import DEFAULT_INTERVAL, read_groups
from testbed.facts.selectors import selectors
from testbed.stack.environments import EXPORT_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

SAMPLES: Final = 4
"""Scrapes within ``for``, as a range of a rule has to hold so many samples."""


class Seldom(StoredModel):
    """Intervals of the source that are too long, one line each, by whose they are."""

    evaluations: tuple[str, ...] = ()
    scrapes: tuple[str, ...] = ()
    collector: tuple[str, ...] = ()


def read_seldom(source: Path) -> Seldom:
    """Read the configuration that a run was made of.

    Args:
        source: folder that holds ``prometheus/`` and ``otel/``.

    Raises:
        UsageError: a file can't be read.
    """
    return Seldom(
        evaluations=tuple(_evaluations(source / "prometheus")),
        scrapes=tuple(_scrapes(source / "prometheus")),
        collector=tuple(_collector(source / "otel" / "collector.yaml")),
    )


def _evaluations(folder: Path) -> Iterator[str]:
    """Groups that are evaluated less often than in their tests."""
    usual = _duration(read_mapping(folder / "prometheus.yml").get("global"), "evaluation_interval")
    tested: dict[str, float] = {}
    for path in sorted((folder / "rules_test").glob("*.yml")):
        document = read_mapping(path)
        for file in document.get("rule_files") or ():
            tested[str(file).rpartition("/")[2]] = _duration(document, "evaluation_interval")
    for group in read_groups(folder / "rules"):
        interval, limit = group.interval or usual, tested.get(group.file)
        if limit is not None and interval > limit:
            yield (
                f"the rules of the group {group.name} are evaluated every "
                f"{format_duration(interval)}, and tested at {format_duration(limit)}"
            )


def _scrapes(folder: Path) -> Iterator[str]:
    """Rules whose ``for`` holds too few scrapes of the job whose ``up`` they look at."""
    document = read_mapping(folder / "prometheus.yml")
    usual = _duration(document.get("global"), "scrape_interval")
    jobs = {
        str(job["job_name"]): _duration(job, "scrape_interval", usual)
        for job in document.get("scrape_configs") or ()
    }
    for group in read_groups(folder / "rules"):
        for rule in group.rules:
            for job in sorted(set(_jobs(selectors(rule.expression)))):
                interval = jobs.get(job, 0.0)
                if rule.for_ and SAMPLES * interval > rule.for_:
                    yield (
                        f"{job} is scraped every {format_duration(interval)}, so that the `for` of "
                        f"{rule.name}, {format_duration(rule.for_)}, holds fewer than {SAMPLES} "
                        "scrapes"
                    )


def _jobs(found: tuple[Selector, ...]) -> Iterator[str]:
    for selector in found:
        if selector.metric == "up":
            yield from (m.value for m in selector.matchers if (m.label, m.operator) == ("job", "="))


def _collector(path: Path) -> Iterator[str]:
    """Batches that wait for longer than the next export takes to come."""
    for name, settings in (read_mapping(path).get("exporters") or {}).items():
        batch = ((settings or {}).get("sending_queue") or {}).get("batch")
        waits = _duration(batch, "flush_timeout", 0.0)
        if waits > EXPORT_INTERVAL:
            yield (
                f"the Collector's {name} holds points back for up to {format_duration(waits)}; "
                f"processes export every {format_duration(EXPORT_INTERVAL)}"
            )


def _duration(
    settings: Mapping[str, object] | None, key: str, default: float | None = None
) -> float:
    found = (settings or {}).get(key)
    if found is None:
        return parse_duration(DEFAULT_INTERVAL) if default is None else default
    return parse_duration(str(found))
