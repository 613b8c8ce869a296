"""What Prometheus holds of the drift job, against what the job wrote down, run by run."""

from __future__ import annotations

import json
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError
from testbed_otel import names

from testbed.charts import StoredModel
from testbed.driftplan import RUN_LEVEL, drift_plan
from testbed.facts import driftpoints
from testbed.facts.driftmatch import Difference, Matched, MatchStep, match
from testbed.facts.driftmoves import Move, Named, moves, named
from testbed.facts.driftrules import Rules, faults, unplanned
from testbed.facts.driftwindows import Recomputed, recompute
from testbed.settings import load_settings
from testbed.truth import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from testbed.clients.prometheus import Series
    from testbed.facts.driftpoints import Key, Record
    from testbed.facts.sources import Sources

SCHEMA_VERSION: Final = 2
"""Of the lines of ``runs.jsonl`` that are read."""
EXAMPLES: Final = 10
_SCOPE: Final = "otel_scope_"


class Mismatch(StoredModel):
    """One series that does not hold what a run wrote down; see ``driftmatch.Difference``."""

    series: str
    run: int
    kind: str
    stored: float | None = None
    recorded: float | None = None


class Published(StoredModel):
    """What Prometheus holds of the drift job, against what the job wrote down.

    Attributes:
        runs: lines of ``runs.jsonl``.
        exports: exports of the job that Prometheus holds.
        unseen: runs after which nothing was exported before the next one ended.
        compared: pairs of a run and a series that were held against each other.
        wrong: those that hold another value than the run wrote down.
        missing: those of which no export holds a value.
        unexpected: series that no run wrote down.
        examples: the first few of these differences, each metric once before any twice.
        level: chance that a run without drift has a decision, over all its windows.
        planned: windows that share it.
        every: rows from the end of one window to that of the next; None for windows of time.
        broken: verdicts, decisions and limits of the job that are not as documented.
        rule_faults: the first few of them.
        windows: a few of its windows, computed again from the prediction log.
        named: columns that each run called drifted.
        moves: how far the load moved each column, phase by phase.
    """

    runs: int = 0
    exports: int = 0
    unseen: int = 0
    compared: int = 0
    wrong: int = 0
    missing: int = 0
    unexpected: int = 0
    examples: tuple[Mismatch, ...] = ()
    level: float | None = None
    planned: int = 0
    every: int | None = None
    broken: int = 0
    rule_faults: tuple[str, ...] = ()
    windows: tuple[Recomputed, ...] = ()
    named: tuple[Named, ...] = ()
    moves: tuple[Move, ...] = ()


def read_published(sources: Sources) -> Published:
    """Read them.

    Raises:
        DomainError: Prometheus can't be asked, or a record lacks what its schema demands.
        DomainError: the prediction log or the artefact can't be read.
    """
    records = read_records(sources.layout.drift / "runs.jsonl", sources.span.end)
    if not records:
        return Published()
    try:
        return _read(sources, records)
    except (KeyError, TypeError) as error:
        raise DomainError(f"a line of drift/runs.jsonl lacks a field ({error!r})") from error


def _read(sources: Sources, records: Sequence[Record]) -> Published:
    root, span = sources.layout.drift, sources.span
    plan = drift_plan(sources.scenario, sources.factor, load_settings().drift_min_rows)
    rules = Rules.of(sources.layout.model, plan.level)
    job = names.SERVICE_DRIFT
    selector = f'{{job="{job}",__name__=~"{"|".join(sorted(driftpoints.COMPARED))}"}}'
    first = span.since if sources.drift_since is None else sources.drift_since
    series = sources.prometheus.raw(selector, at=span.end, window=span.end - first)
    folders = (read_records(path / "runs.jsonl", span.end) for path in root.glob("version-*"))
    others = {str(found[0]["model_version"]): found for found in folders if found}
    found = compare(records, series, rules.alert_share, _starts(sources.layout.timeline), others)
    wrong = sorted([*faults(records, rules), *unplanned(records, plan)])
    broken = [f"run {run + 1}: {text}" for run, text in wrong]
    artefact = load_artefact(sources.layout.model)
    reference = list(artefact.reference())
    since = _since(root, artefact.version)
    return Published(
        runs=len(records),
        exports=len(_exports(series)),
        level=RUN_LEVEL,
        planned=plan.windows,
        every=plan.every,
        broken=len(broken),
        rule_faults=tuple(broken[:EXAMPLES]),
        windows=recompute(sources.log_url, artefact, len(reference), records, since),
        named=named(records, artefact.version),
        moves=tuple(moves(sources.truth, artefact, reference)),
        **_reported(found),
    )


def read_records(path: Path, end: float) -> list[Record]:
    """The runs of this schema that ended until a time, in order."""
    found = [
        line
        for line in read_lines(path, [], required=False)
        if line.get("schema_version") == SCHEMA_VERSION and line.get("time", end) < end
    ]
    return sorted(found, key=lambda line: line["time"])


def compare(
    records: Sequence[Record],
    series: Sequence[Series],
    alert_share: float,
    starts: Sequence[float] = (),
    others: Mapping[str, Sequence[Record]] | None = None,
) -> Matched:
    """Hold everything that was stored against everything that was written down.

    Args:
        records: runs of the job, in order.
        series: raw samples of the metrics that are compared.
        alert_share: what the job was to obey.
        starts: when processes of the job were started, in order.
        others: further model version to its runs.
    """
    streams = _streams(records, series, alert_share, starts, others or {})
    found = Matched()
    for number, stream in enumerate(streams):
        one = match(stream.steps, stream.samples, stream.exports)
        found.compared += one.compared
        found.differences += one.differences
        found.unseen += one.unseen if not number else 0
    return found


@dataclass(frozen=True, slots=True)
class _Stream:
    """Series that go through the same steps."""

    steps: list[MatchStep]
    samples: dict[Key, list[tuple[float, float]]]
    exports: list[float]


def _streams(
    records: Sequence[Record],
    series: Sequence[Series],
    alert_share: float,
    starts: Sequence[float],
    others: Mapping[str, Sequence[Record]],
) -> Iterator[_Stream]:
    own = {str(record["model_version"]) for record in records}
    gauges, counters = _parted(series)
    exports = _exports(series)
    apart = {key: version for key in gauges if (version := _version(key, own, others))}
    yield _Stream(
        _gauge_steps(records, alert_share),
        {key: points for key, points in gauges.items() if key not in apart},
        exports,
    )
    for name in set(apart.values()):
        steps = _gauge_steps(others[name], alert_share, alone=True)
        yield _Stream(steps, {k: p for k, p in gauges.items() if apart.get(k) == name}, exports)
    for samples in counters.values():
        # Further versions count their detections beside those of the job.
        mine = {key: points for key, points in samples.items() if not _version(key, own, others)}
        times = sorted({at for points in mine.values() for at, _ in points})
        if times:
            yield _Stream(_counter_steps(records, starts, times[0]), mine, times)


def _parted(
    series: Iterable[Series],
) -> tuple[dict[Key, list[tuple[float, float]]], dict[str, dict[Key, list[tuple[float, float]]]]]:
    """Gauges, whichever process exported them; counters by process, since each begins at 0."""
    gauges: dict[Key, list[tuple[float, float]]] = {}
    counters: dict[str, dict[Key, list[tuple[float, float]]]] = {}
    for one in series:
        labels = {
            name: value
            for name, value in one.labels.items()
            if name not in {"__name__", "job", "instance"} and not name.startswith(_SCOPE)
        }
        key = one.labels["__name__"], tuple(sorted(labels.items()))
        place = gauges
        if key[0] in driftpoints.COUNTERS:
            place = counters.setdefault(one.labels.get("instance", ""), {})
        place.setdefault(key, []).extend(one.points)
    for place in (gauges, *counters.values()):
        for points in place.values():
            points.sort()
    return gauges, counters


def _exports(series: Iterable[Series]) -> list[float]:
    return sorted({at for one in series for at, _ in one.points})


def _version(key: Key, own: set[str], others: Mapping[str, Any]) -> str | None:
    """The further version that a series speaks of; None where it is the job's own."""
    version = dict(key[1]).get("model_version")
    return version if version in others and version not in own else None


def _gauge_steps(
    records: Sequence[Record], alert_share: float, *, alone: bool = False
) -> list[MatchStep]:
    """Steps of the gauges; those of a further version (``alone``) say nothing of the job."""
    first = float(records[0]["started"]) if records else float("inf")
    steps = [MatchStep(float("-inf"), first, {})]
    of_job: dict[Key, float] = {}
    of_model: dict[Key, float] = {}
    version = None
    for index, record in enumerate(records):
        if record["model_version"] != version:
            of_model, version = {}, record["model_version"]
        if record["outcome"] == driftpoints.SUCCESS:
            of_model = driftpoints.finding(record, alert_share)
        of_job = {} if alone else driftpoints.job_gauges(of_job, record)
        around = records[max(0, index - 1) : index + 2]
        others = {str(one["model_version"]) for one in around} - {version}
        steps.append(
            MatchStep(
                float(record["time"]),
                _next_start(records, index),
                {**of_model, **of_job},
                frozenset(others),
            )
        )
    return steps


def _counter_steps(
    records: Sequence[Record], starts: Sequence[float], first: float
) -> list[MatchStep]:
    """Steps of one process's counters.

    Args:
        records: runs of all processes.
        starts: when processes were started.
        first: when this one first exported.
    """
    place = bisect_right(starts, first)
    began = starts[place - 1] if place else float("-inf")
    made = [record for record in records if record["time"] >= began]
    # Of all processes: one that ended before its first run counts its columns from 0 as well.
    versions = {str(record["model_version"]) for record in records}
    ready = float(made[0]["started"]) if made else float("inf")
    nothing = driftpoints.counted(())
    steps = [MatchStep(float("-inf"), ready, nothing, frozenset(versions))]
    for index, record in enumerate(made):
        values = driftpoints.counted(made[: index + 1])
        ended, ready = float(record["time"]), _next_start(made, index)
        steps.append(MatchStep(ended, ready, values, frozenset(versions)))
    return steps


def _since(root: Path, version: str) -> float | None:
    """From when on rows are those of the run, as the job keeps it."""
    try:
        found = json.loads((root / "position.json").read_text(encoding="utf-8"))
        return float(found["since"]) if found["model_version"] == version else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _next_start(records: Sequence[Record], index: int) -> float:
    following = records[index + 1 : index + 2]
    return float(following[0]["started"]) if following else float("inf")


def _starts(timeline: Path) -> list[float]:
    return sorted(
        float(event["time"])
        for event in read_lines(timeline, [], required=False)
        if event.get("event") == "component_started" and event.get("name") == "drift"
    )


def _reported(found: Matched) -> dict[str, Any]:
    kinds = [one.kind for one in found.differences]
    seen: dict[str, int] = {}
    ranked: list[tuple[int, int, Difference]] = []
    for one in found.differences:
        seen[one.key[0]] = seen.get(one.key[0], 0) + 1
        ranked.append((seen[one.key[0]], len(ranked), one))
    return {
        "unseen": found.unseen,
        "compared": found.compared,
        "wrong": kinds.count("wrong"),
        "missing": kinds.count("missing"),
        "unexpected": kinds.count("unexpected"),
        "examples": tuple(_example(one) for _, _, one in sorted(ranked)[:EXAMPLES]),
    }


def _example(one: Difference) -> Mismatch:
    return Mismatch(
        series=driftpoints.text_of(one.key),
        run=one.run,
        kind=one.kind,
        stored=one.stored,
        recorded=one.recorded,
    )
