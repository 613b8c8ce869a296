"""What the drift job says of labels and of data quality, computed again from the same rows. Pure.

Beside the scores of drift, which :mod:`testbed.facts.driftwindows` computes again, a run says how
well the model did and what is wrong with the values. Scores that need ranks or bins are left out.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from testbed.facts.tables import number_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed_domain.features import Feature, FeatureSchema
    from testbed_domain.logrows import Columns

    from testbed.facts.driftpoints import Record

ROUNDING: Final = 1e-6
BINARY: Final = 2
NEWEST: Final = 800
"""Labelled rows that are the newest ones."""
DELAY: Final = 0.05
"""Seconds by which the median delay of labels may differ: a quantile may lie between two rows."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one window, or of the reference.

    Attributes:
        columns: the rows.
        labels: true classes; None where the label was not there yet.
    """

    columns: Columns
    labels: Sequence[str | None]


def faults(
    record: Record, rows: Columns, reference: Columns, schema: FeatureSchema, late: float
) -> tuple[str, ...]:
    """How a run differs from what its rows give, one line each.

    Args:
        record: the run.
        rows: of its window, all that it evaluated.
        reference: of the model.
        schema: of the model.
        late: real seconds within which a label may be committed after its time.
    """
    known = Rows(reference, reference.label)
    then = _labelled(record, rows, late)
    return (
        *_unevaluated(record, schema),
        *_performance(record, "reference", known, schema),
        *(() if then is None else _performance(record, "realised", then, schema)),
        *(() if then is None else _delay(record, then)),
        *(() if then is None or not schema.regression else _residuals(record, known, then)),
        *_quality(record, rows, reference, schema),
    )


def _labelled(record: Record, rows: Columns, late: float) -> Rows | None:
    """The rows with the labels that had come by the run; None where that is not certain.

    Labels that came while it read the log may be in it or not. Where it says that it has as many as
    had come before, or by its end, it can have no others.
    """
    times = rows.label_time
    if len(times) != len(rows):
        return None
    said = ((record.get("performance") or {}).get("realised") or {}).get("labels")
    first, last = (
        [t is not None and t < until for t in times]
        for until in (record["started"] - late, record["time"])
    )
    if first == last or sum(last) == said:
        come = last
    elif sum(first) == said:
        come = first
    else:
        return None
    pairs = zip(rows.label, come, strict=True)
    return Rows(rows, [label if known else None for label, known in pairs])


def _unevaluated(record: Record, schema: FeatureSchema) -> Iterator[str]:
    for feature in schema.features:
        if feature.name not in record["columns"]:
            yield f"column {feature.name} of the model was not evaluated"


def _performance(record: Record, basis: str, rows: Rows, schema: FeatureSchema) -> Iterator[str]:
    said = (record.get("performance") or {}).get(basis)
    if not said:
        return
    labelled = [place for place, label in enumerate(rows.labels) if label is not None]
    if said["labels"] != len(labelled):
        yield f"{basis} labels are {len(labelled)} by the log, the job says {said['labels']}"
        return
    if not labelled:
        return
    if schema.regression:
        yield from _of_numbers(said, basis, rows, labelled)
        return
    pairs = Counter((str(rows.labels[at]), rows.columns.prediction[at]) for at in labelled)
    yield from _apart(
        said, basis, _scores(pairs, schema) | _of_probabilities(rows, labelled, schema)
    )
    yield from _confusion(said, basis, pairs)


def _apart(said: Record, basis: str, wanted: Mapping[str, float]) -> Iterator[str]:
    for name, value in wanted.items():
        found = said.get(name)
        if found is None or not abs(found - value) <= ROUNDING * max(1.0, abs(value)):
            yield f"{basis} {name} is {value:.4g} by the log's rows, the job says {_text(found)}"


def _confusion(said: Record, basis: str, pairs: Counter[tuple[str, str]]) -> Iterator[str]:
    if any(label not in said["classes"] for pair in pairs for label in pair):
        return  # what is no class of the model stands under another name
    for place, true in enumerate(said["classes"]):
        for other, predicted in enumerate(said["classes"]):
            count = said["confusion"][place][other]
            if count != pairs[true, predicted]:
                yield (
                    f"{basis} rows of class {true} predicted as {predicted} are "
                    f"{pairs[true, predicted]} by the log, the job says {count}"
                )


def _missed(rows: Rows, labelled: list[int]) -> list[float]:
    """By how much each number missed its label: prediction less label."""
    true = [number_of(rows.labels[at]) for at in labelled]
    reported = [number_of(rows.columns.prediction[at]) for at in labelled]
    return [one - other for one, other in zip(reported, true, strict=True)]


def _residuals(record: Record, before: Rows, now: Rows) -> Iterator[str]:
    """How far residuals moved from the reference's, by the definition of the distance."""
    usual, here = (
        np.array(_missed(rows, [at for at, label in enumerate(rows.labels) if label is not None]))
        for rows in (before, now)
    )
    if not np.isfinite(usual).all() or not np.isfinite(here).all():
        return  # such rows stand in their own line
    unit = float(usual.std()) or 1.0
    for part, said in ((record.get("concept_drift") or {}).get("errors") or {}).items():
        name = f"{part}_residuals_wasserstein"
        found = (said["scores"].get(name) or {}).get("score")
        moved = _wasserstein(usual, here[-NEWEST:] if part == "newest" else here) / unit
        if found is None or not abs(found - moved) <= ROUNDING * max(1.0, moved):
            yield f"{name} is {moved:.4g} by the log's rows, the job says {_text(found)}"


def _wasserstein(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """The area between two cumulative distributions."""
    every = np.sort(np.concatenate([one, other]))
    below = (
        np.searchsorted(np.sort(each), every[:-1], "right") / len(each) for each in (one, other)
    )
    first, second = below
    return float((np.abs(first - second) * np.diff(every)).sum())


def _of_numbers(said: Record, basis: str, rows: Rows, labelled: list[int]) -> Iterator[str]:
    """Errors of predicted numbers, by their definitions."""
    true = [number_of(rows.labels[at]) for at in labelled]
    apart = _missed(rows, labelled)
    count = len(apart)
    square = math.fsum(each**2 for each in apart)
    middle = math.fsum(true) / count
    spread = math.fsum((each - middle) ** 2 for each in true)
    wanted = {
        "mae": math.fsum(map(abs, apart)) / count,
        "rmse": math.sqrt(square / count),
        "mean_error": math.fsum(apart) / count,
    }
    yield from _apart(said, basis, wanted | ({"r2": 1 - square / spread} if spread else {}))


def _scores(pairs: Counter[tuple[str, str]], schema: FeatureSchema) -> dict[str, float]:
    """Accuracy, and precision, recall and F1 of the positive class, where there is one."""
    right = sum(count for (true, predicted), count in pairs.items() if true == predicted)
    found = {"accuracy": right / pairs.total()}
    if schema.positive_class is None:
        return found
    wanted = str(schema.positive_class)
    hits = pairs[wanted, wanted]
    true = sum(count for (label, _), count in pairs.items() if label == wanted)
    called = sum(count for (_, predicted), count in pairs.items() if predicted == wanted)
    for name, above, below in (
        ("precision", hits, called),
        ("recall", hits, true),
        ("f1", 2 * hits, true + called),
    ):
        if below:
            found[name] = above / below
    return found


def _of_probabilities(rows: Rows, labelled: list[int], schema: FeatureSchema) -> dict[str, float]:
    """Brier score and log loss, where every row has a probability of every class."""
    classes = [str(each) for each in schema.classes]
    held = rows.columns.probabilities
    if len(held) != len(rows.columns) or any(held[at].keys() < {*classes} for at in labelled):
        return {}
    if any(rows.labels[at] not in classes for at in labelled):
        return {}
    chances = np.array([[held[at][name] for name in classes] for at in labelled])
    places = [classes.index(str(rows.labels[at])) for at in labelled]
    truth = np.eye(len(classes))[places]
    brier = float(((chances - truth) ** 2).sum(axis=1).mean())
    tiny = np.finfo(float).eps
    sure = np.clip(chances, tiny, 1 - tiny)[np.arange(len(places)), places]
    return {
        "brier": brier / (2 if len(classes) == BINARY else 1),
        "log_loss": float(-np.log(sure).mean()),
    }


def _delay(record: Record, rows: Rows) -> Iterator[str]:
    said = ((record.get("performance") or {}).get("labels") or {}).get("delay_seconds") or {}
    columns = rows.columns
    triples = zip(columns.label_time, columns.time, rows.labels, strict=True)
    delays = [
        came - time for came, time, label in triples if came is not None and label is not None
    ]
    if "0.5" not in said or not delays:
        return
    middle = float(np.median(delays))
    if abs(said["0.5"] - middle) > DELAY:
        yield (
            f"the median delay of labels is {middle:.3g} s by the log, the job says "
            f"{said['0.5']:.3g} s"
        )


def _quality(
    record: Record, rows: Columns, reference: Columns, schema: FeatureSchema
) -> Iterator[str]:
    said: Mapping[str, Any] = (record.get("quality") or {}).get("columns") or {}
    for feature in schema.features:
        if feature.name not in said or feature.name not in rows.features:
            continue
        values = rows.features[feature.name]
        wanted = _ratios(feature, values, reference.features.get(feature.name, ()))
        for name, value in wanted.items():
            found = said[feature.name].get(name)
            if found is None or abs(found - value) > ROUNDING:
                yield (
                    f"column {feature.name}: the {name} share is {value:.4g} by the log's rows, "
                    f"the job says {_text(found)}"
                )


def _ratios(feature: Feature, values: Sequence[Any], known: Sequence[Any]) -> dict[str, float]:
    count = max(1, len(values))
    # NaN is the only value that differs from itself.
    found = {"missing": sum(v is None or v != v for v in values) / count}  # noqa: PLR0124
    if feature.kind == "category":
        return found
    numbers, own = _numbers(values), _numbers(known)
    if len(own):
        low = max([own.min(), *([] if feature.minimum is None else [feature.minimum])])
        high = min([own.max(), *([] if feature.maximum is None else [feature.maximum])])
        found["out_of_range"] = int(((numbers < low) | (numbers > high)).sum()) / count
    return found


def _numbers(values: Sequence[Any]) -> np.ndarray[Any, Any]:
    found = np.array([v for v in values if isinstance(v, int | float)], float)
    return np.asarray(found[~np.isnan(found)])


def _text(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.4g}"
