"""Statistics of a phase's rows against what its drift must have made of the reference rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed.charts import StoredModel
from testbed.facts.bounds import (
    BoundedSample,
    distribution_bound,
    distribution_distance,
    mean_bound,
    ratio_bound,
)
from testbed.facts.tables import MISSING, is_category

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_domain.features import Feature

    from testbed.facts.expectation import SeriesExpectation
    from testbed.facts.tables import LogTable

MEAN: Final = "shift of the mean in standard deviations of the reference"
DISTRIBUTION: Final = "largest distance between the distributions"
RATIO_MISSING: Final = "share of missing values"
RATE: Final = "share of the rows"
TOGETHER: Final = "correlation within labels"
AGREEMENT: Final = "share of the rows whose label the model predicts"


class Deviation(StoredModel):
    """A statistic that is further from its expectation than chance explains.

    Attributes:
        subject: column, value of a column, or label.
        what: the statistic.
        expected: by the drift's words and the reference.
        found: in the rows that were sent.
        allowed: how far chance may take it.
    """

    subject: str
    what: str
    expected: float
    found: float
    allowed: float


@dataclass(frozen=True)
class Quantity:
    """One statistic: expected, found, and how far chance may take it."""

    subject: str
    what: str
    expected: float
    found: float
    allowed: float

    @property
    def deviates(self) -> bool:
        """Whether chance does not explain the difference."""
        return not abs(self.found - self.expected) <= self.allowed + 1e-9

    def deviation(self) -> Deviation:
        """As facts keep it."""
        return Deviation(
            subject=self.subject,
            what=self.what,
            expected=round(self.expected, 6),
            found=round(self.found, 6),
            allowed=round(self.allowed, 6),
        )


def column_quantities(
    feature: Feature, sent: LogTable, expected: SeriesExpectation, exponent: float
) -> Iterator[Quantity]:
    """Statistics of one column."""
    values = sent.columns[feature.name]
    if is_category(feature):
        yield from _category(feature, values, expected, exponent)
    else:
        yield from _numbers(feature, values, expected, exponent)


def label_quantities(
    sent: LogTable, expected: SeriesExpectation, exponent: float
) -> Iterator[Quantity]:
    """Rates of the labels; what is no class of the schema has the rate 0."""
    sample = _sample(len(sent), expected, 1.0)
    for place, label in enumerate(expected.reference.tabulator.strata):
        rate = float(expected.labels[place])
        found = float(np.mean(sent.labels == place))
        yield Quantity(f"label {label}", RATE, rate, found, ratio_bound(rate, sample, exponent))


def together_quantity(
    sent: LogTable, expected: SeriesExpectation, exponent: float
) -> Quantity | None:
    """The strongest correlation within labels of two columns of numbers.

    None where no two columns of numbers without missing values go together.
    """
    reference = expected.reference
    names = [
        feature.name
        for feature in reference.schema.features
        if not is_category(feature) and not np.isnan(reference.table.columns[feature.name]).any()
    ]
    if len(names) < 2:  # noqa: PLR2004 - a pair
        return None
    own = _within_labels(reference.table, reference.table, names)
    matrix = own.T @ own / len(own)
    first, second = np.triu_indices(len(names), 1)
    best = int(np.abs(matrix[first, second]).argmax())
    one, other = int(first[best]), int(second[best])
    products = own[:, one] * own[:, other]
    found = _within_labels(sent, reference.table, [names[one], names[other]])
    # What goes together no more has products of variance 1.
    variance = max(float(products.var()), 1.0)
    sample = _sample(len(sent), expected, 1.0)
    return Quantity(
        f"{names[one]} and {names[other]}",
        TOGETHER,
        float(products.mean()) * (1.0 - expected.effect.apart),
        float((found[:, 0] * found[:, 1]).mean()),
        mean_bound(variance, float(np.abs(products).max()), sample, exponent),
    )


def agreement_quantity(
    predicted: np.ndarray,
    own: np.ndarray,
    sent: LogTable,
    expected: SeriesExpectation,
    exponent: float,
) -> Quantity:
    """How often the label is what the model predicts.

    Args:
        predicted: places of the classes that the model predicts for the rows.
        own: the same for the reference rows.
        sent: the rows.
        expected: of them.
        exponent: of the bound.
    """
    labels = expected.reference.table.labels
    classes = len(expected.reference.tabulator.strata)
    right = float(np.mean(own == labels))
    by_chance = (
        float(np.bincount(labels, minlength=classes) @ np.bincount(own, minlength=classes))
        / len(labels) ** 2
    )
    dealt = expected.effect.dealt
    ratio = (1.0 - dealt) * right + dealt * by_chance
    sample = _sample(len(sent), expected, 1.0)
    found = float(np.mean(predicted == sent.labels))
    return Quantity("labels", AGREEMENT, ratio, found, ratio_bound(ratio, sample, exponent))


def distance(feature: Feature, sent: LogTable, expected: SeriesExpectation) -> float:
    """Effect on a column: its mean in standard deviations, or total-variation distance."""
    values = sent.columns[feature.name]
    if is_category(feature):
        ratios = expected.ratios(feature)
        found = np.bincount(values, minlength=len(ratios)) / max(1, len(values))
        return float(np.abs(found - ratios).sum() / 2)
    numbers, weights = expected.numbers(feature)
    known = values[~np.isnan(values)]
    sigma = expected.reference.sigma[feature.name]
    if not len(known) or not len(numbers) or not sigma:
        return 0.0
    return (float(known.mean()) - float(weights @ numbers)) / sigma


def _numbers(
    feature: Feature, values: np.ndarray, expected: SeriesExpectation, exponent: float
) -> Iterator[Quantity]:
    name = feature.name
    missing_here = np.isnan(values)
    whole = _sample(len(values), expected, expected.inflation)
    missing = expected.missing(feature)
    bound = ratio_bound(missing, whole, exponent)
    yield Quantity(name, RATIO_MISSING, missing, float(missing_here.mean()), bound)
    known = values[~missing_here]
    numbers, weights = expected.numbers(feature)
    if not len(known) or not len(numbers):
        return
    sample = _sample(len(known), expected, expected.inflation)
    mean = float(weights @ numbers)
    variance = float(weights @ (numbers - mean) ** 2)
    unit = expected.reference.sigma[name] or 1.0
    reach = float(np.abs(numbers - mean).max())
    bound = mean_bound(variance, reach, sample, exponent) / unit
    own = expected.reference.table.columns[name]
    middle = float(own[~np.isnan(own)].mean())
    yield Quantity(name, MEAN, (mean - middle) / unit, (float(known.mean()) - middle) / unit, bound)
    # A shift adds a rounding error that must not move a step of the distribution.
    apart = distribution_distance(known.round(9), numbers.round(9), weights)
    yield Quantity(name, DISTRIBUTION, 0.0, apart, distribution_bound(sample, exponent))


def _category(
    feature: Feature, codes: np.ndarray, expected: SeriesExpectation, exponent: float
) -> Iterator[Quantity]:
    sample = _sample(len(codes), expected, expected.inflation)
    ratios = expected.ratios(feature)
    found = np.bincount(codes, minlength=len(ratios)) / max(1, len(codes))
    for code, ratio in enumerate(ratios.tolist()):
        if ratio or found[code]:
            value = expected.reference.tabulator.value(feature, code)
            subject = f"{feature.name} = {value}"
            if code == MISSING:
                subject = f"{feature.name} is missing"
            bound = ratio_bound(ratio, sample, exponent)
            yield Quantity(subject, "share of the rows", ratio, float(found[code]), bound)


def _within_labels(table: LogTable, reference: LogTable, names: list[str]) -> np.ndarray:
    """Columns in standard deviations from the mean of the row's label in the reference."""
    found = np.empty((len(table), len(names)))
    for place, name in enumerate(names):
        middles = {}
        residual = reference.columns[name].copy()
        for label in np.unique(reference.labels).tolist():
            here = reference.labels == label
            middles[label] = float(residual[here].mean())
            residual[here] -= middles[label]
        spread = float(residual.std()) or 1.0
        centre = np.zeros(len(table))
        for label, middle in middles.items():
            centre[table.labels == label] = middle
        found[:, place] = (table.columns[name] - centre) / spread
    return found


def _sample(rows: int, expected: SeriesExpectation, inflation: float) -> BoundedSample:
    reference = expected.reference
    return BoundedSample(rows, None if reference.drawn_from else len(reference.table), inflation)
