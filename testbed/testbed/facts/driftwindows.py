"""Windows of the drift job, computed again from the prediction log and the model's reference."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from testbed_domain.logreading import Selection
from testbed_domain.logstore import open_log

from testbed.charts import StoredModel
from testbed.facts.driftcopies import witnesses
from testbed.facts.driftpoints import SUCCESS
from testbed.facts.driftquality import faults
from testbed.facts.tables import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema
    from testbed_domain.logrows import Columns
    from testbed_domain.logstore import PredictionLog

    from testbed.facts.driftpoints import Record

    Floats = np.ndarray[Any, Any]

MAX_ROWS: Final = 5000
"""Rows of a window of which the job reads the newest only (``TESTBED_DRIFT_MAX_ROWS``)."""
LATE: Final = 2.0
"""Real seconds within which a row of the log may be committed after its time."""
SHOWN: Final = 10
"""Scores of a window that are kept: those that agree least."""
ROUNDING: Final = 1e-6
DECADES: Final = 0.3
RATIO: Final = 0.05
MIN_P: Final = 1e-100
MIN_SCALE: Final = 0.001
WASSERSTEIN: Final = "wasserstein"
VARIATION: Final = "total_variation"
KS: Final = "ks"
PLACES: Final = 1000
"""Places of a distribution at which its tail is looked for."""
_CERTAIN: Final = 0.1
_LARGEST: Final = 700.0


class RecomputedScore(StoredModel):
    """A score of a column as the job has it, and computed again."""

    column: str
    method: str
    recorded: float | None
    computed: float

    @property
    def apart(self) -> float:
        """How far both are apart, in the tolerance of an equal computation; above 1 they differ.

        Distances differ by rounding only. The job's p-values are exact and these asymptotic: within
        a tenth down to 1e-37 in windows of 1,500 rows. Smaller ones than 1e-100 are alike.
        """
        if self.recorded is None:
            return float("inf")
        if self.method != KS:
            return abs(self.recorded - self.computed) / ROUNDING
        both = (max(self.recorded, MIN_P), max(self.computed, MIN_P))
        first, second = (math.log10(one) for one in both)
        return abs(first - second) / (DECADES + RATIO * abs(second))


class Recomputed(StoredModel):
    """One window of the job, computed again.

    Attributes:
        run: index of the run.
        evaluated: rows that the job says it evaluated.
        logged: rows that the log holds of that span.
        settled: those of them that were in the log for certain when the job read it.
        reference: rows that it says it compared with.
        registered: reference rows of the artefact.
        place: place of its last row among those of the run, counted from 1; None where windows
            are not cut by rows.
        total: rows of the run in the log.
        scores: of the columns and of the predicted class.
        faults: what else the job says of these rows, labels and values, and they don't give.
    """

    run: int
    evaluated: int
    logged: int
    settled: int
    reference: int
    registered: int
    place: int | None = None
    total: int = 0
    scores: tuple[RecomputedScore, ...] = ()
    faults: tuple[str, ...] = ()


def recompute(
    log_url: str,
    artefact: Artefact,
    registered: int,
    records: Sequence[Record],
    since: float | None = None,
) -> tuple[Recomputed, ...]:
    """Compute the first, the last and the most severe window of the artefact's model again.

    Args:
        log_url: prediction log.
        artefact: the model.
        registered: rows of its reference.
        records: runs of the job.
        since: Unix time from which on rows are those of the run, where windows are cut by rows.

    Raises:
        DomainError: the log can't be read.
    """
    evaluated = [
        (index, record)
        for index, record in enumerate(records)
        if record["outcome"] == SUCCESS
        and record["model_version"] == artefact.version
        and record["windows"]["current"]["start"] is not None
        and record["windows"]["reference"]["start"] is None
    ]
    if not evaluated:
        return ()
    worst = max(evaluated, key=lambda pair: pair[1]["drift_share"])
    chosen = dict([evaluated[0], worst, evaluated[-1]])
    with contextlib.closing(open_log(log_url, create=False)) as log:
        reference = _Reference(artefact.schema, log.reference(artefact.version))
        return tuple(
            _again(log, reference, registered, index, record, since)
            for index, record in sorted(chosen.items())
        )


class _Reference:
    """What is needed of the reference, once."""

    def __init__(self, schema: FeatureSchema, columns: Columns) -> None:
        self.schema = schema
        self.numeric = {f.name for f in schema.features if f.kind != "category"}
        self.columns = columns
        self.values = {
            name: _numbers(columns.features.get(name, ())) for name in sorted(self.numeric)
        }


def _again(
    log: PredictionLog,
    reference: _Reference,
    registered: int,
    index: int,
    record: Record,
    since: float | None,
) -> Recomputed:
    window = record["windows"]["current"]
    version, start, end = record["model_version"], window["start"], window["end"]
    rows = log.window(version, start, end, MAX_ROWS)
    sure = min(end, record["started"] - LATE)
    settled = sum(time < sure for time in rows.time)
    counted = since is not None
    return Recomputed(
        place=log.size(Selection(version, since, end)) if counted else None,
        total=log.size(Selection(version, since)) if counted else 0,
        run=index,
        evaluated=window["rows"],
        logged=len(rows),
        settled=settled,
        reference=record["windows"]["reference"]["rows"],
        registered=registered,
        scores=_furthest_apart(_scores(reference, rows, record) if len(rows) else ()),
        faults=faults(record, rows, reference.columns, reference.schema, LATE)[:SHOWN]
        if window["rows"] == len(rows)
        else (),
    )


def _furthest_apart(scores: Iterable[RecomputedScore]) -> tuple[RecomputedScore, ...]:
    """Those that agree least, so that a wide model does not swell the facts."""
    return tuple(sorted(scores, key=lambda score: -score.apart)[:SHOWN])


def _scores(reference: _Reference, rows: Columns, record: Record) -> Iterable[RecomputedScore]:
    ratios = witnesses(reference.columns.features, rows.features, record["columns"])
    for name, verdict in record["columns"].items():
        reported = {score["method"]: score["score"] for score in verdict["scores"]}
        if name in reference.numeric:
            values = _numbers(rows.features[name])
            yield from _numeric(name, reference.values[name], values, reported, ratios)
        elif VARIATION in reported:
            before, now = reference.columns.features[name], rows.features[name]
            yield _variation(name, before, now, reported[VARIATION])
    reported = {score["method"]: score["score"] for score in record["prediction_drift"]["scores"]}
    if reference.schema.regression:
        first, second = (
            _numbers([number_of(text) for text in columns.prediction])
            for columns in (reference.columns, rows)
        )
        yield from _numeric("prediction", first, second, reported, ratios)
    elif VARIATION in reported:
        before, now = reference.columns.prediction, rows.prediction
        yield _variation("prediction", before, now, reported[VARIATION])


def _numeric(
    name: str,
    before: Floats,
    now: Floats,
    reported: Mapping[str, Any],
    ratios: tuple[float, float],
) -> Iterable[RecomputedScore]:
    if not len(before) or not len(now) or WASSERSTEIN not in reported:
        return
    distance = wasserstein(before, now)
    yield RecomputedScore(
        column=name, method=WASSERSTEIN, recorded=reported[WASSERSTEIN], computed=distance
    )
    p_value = smirnov(before, now, ratios)
    yield RecomputedScore(column=name, method=KS, recorded=reported.get(KS), computed=p_value)


def smirnov(before: Floats, now: Floats, ratios: tuple[float, float] = (1.0, 1.0)) -> float:
    """P-value of the two-sample Kolmogorov-Smirnov test, asymptotic.

    The limit with Stephens's correction for few rows (1970), and with the next term of the tail's
    exponent for large distances (Abrahamson 1967). SciPy has it exactly, at seconds of importing.
    Where rows are copies, the job takes the tail of one sample of as many rows as count.

    Args:
        before: the reference.
        now: the window.
        ratios: of either, the ratio of its rows that are no copies of others.
    """
    apart = float(np.abs(_steps(before, now)[1]).max())
    first, second = (
        max(round(len(part) * ratio), 1) for part, ratio in zip((before, now), ratios, strict=True)
    )
    rows = first * second / (first + second)
    if ratios == (1.0, 1.0):
        root, tail = math.sqrt(rows), 2 * apart**2 * (1 + 2 * apart**2 / 9)
    else:
        root, tail = math.sqrt(max(round(rows), 1)), _tail(apart)
    exponent = (root + 0.12 + 0.11 / root) ** 2 * tail
    if exponent < _CERTAIN:
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-min(k * k * exponent, _LARGEST)) for k in range(1, 101))
    return float(min(max(2 * sum(terms), 0.0), 1.0))


def _tail(apart: float) -> float:
    """Exponent of the tail of one sample's distance, for each row (Abrahamson 1967)."""
    if apart >= 1.0:
        return _LARGEST
    at = np.linspace(0.0, 1.0 - apart, PLACES)[1:-1]
    beyond = 1.0 - at
    rate = (at + apart) * np.log1p(apart / at) + (beyond - apart) * np.log1p(-apart / beyond)
    return float(rate.min())


def _steps(before: Floats, now: Floats) -> tuple[Floats, Floats]:
    """Values of both samples in order, and how far their distribution functions are apart there."""
    values = np.sort(np.concatenate([before, now]))
    first, second = (
        np.searchsorted(np.sort(one), values, "right") / len(one) for one in (before, now)
    )
    return values, first - second


def wasserstein(before: Floats, now: Floats) -> float:
    """Distance in standard deviations of the first sample, as the job has it."""
    values, apart = _steps(before, now)
    distance: float = float(np.abs(apart[:-1]) @ np.diff(values))
    scale = max(float(before.std()), MIN_SCALE)
    return distance / scale


def _variation(
    name: str, before: Sequence[Any], now: Sequence[Any], reported: float | None
) -> RecomputedScore:
    ratios = [ratios_of(values) for values in (before, now)]
    names = ratios[0].keys() | ratios[1].keys()
    distance = sum(abs(ratios[0].get(one, 0.0) - ratios[1].get(one, 0.0)) for one in names) / 2
    return RecomputedScore(column=name, method=VARIATION, recorded=reported, computed=distance)


def ratios_of(values: Sequence[Any]) -> dict[str, float]:
    """Value to share of the rows that have one."""
    counts: dict[str, int] = {}
    for value in values:
        if value is not None:
            counts[str(value)] = counts.get(str(value), 0) + 1
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}


def _numbers(values: Sequence[Any]) -> Floats:
    found: Floats = np.asarray([np.nan if value is None else float(value) for value in values])
    return np.asarray(found[~np.isnan(found)])
