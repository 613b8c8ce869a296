"""What each named drift must do, written anew from ``docs/reference/drifts.md``.

On purpose it shares no code with the load's drifts: one that does not do what it says is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from testbed_domain.features import Feature, FeatureSchema

from testbed.facts.tables import is_category

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TO_RAREST: Final = 0.3
BLANKED: Final = 0.3
REPLACED: Final = 0.5
DEALT: Final = 0.5
CONTROL: Final = 0.75
"""The first three quarters of the columns move; the others are a control."""


@dataclass(frozen=True)
class Effect:
    """What a drift does to rows; all shares are 0 to 1.

    Attributes:
        shifted: columns whose numbers grow by ``shift`` standard deviations of the reference.
        shift: how many.
        scaled: columns whose numbers are multiplied by ``factor``.
        factor: by what.
        rarest: categories of whose values the share ``to_rarest`` becomes the rarest one.
        to_rarest: the share.
        blanked: columns of whose values the share ``blank`` goes missing.
        blank: the share.
        replaced: share of the other rows that become rows of the last, or positive, class (of the
            top quarter of numbers), or rows that are higher in ``above``.
        above: column in which the rows that take their place lie above the reference's median, or
            at it where that is the largest value.
        dealt: share of the rows whose labels are dealt out anew among them.
        apart: share of the rows whose columns are dealt out anew among rows of the same label.
    """

    shifted: frozenset[str] = frozenset()
    shift: float = 0.0
    scaled: frozenset[str] = frozenset()
    factor: float = 1.0
    rarest: frozenset[str] = frozenset()
    to_rarest: float = 0.0
    blanked: frozenset[str] = frozenset()
    blank: float = 0.0
    replaced: float = 0.0
    above: str | None = None
    dealt: float = 0.0
    apart: float = 0.0

    @property
    def columns(self) -> frozenset[str]:
        """Columns that it changes one by one."""
        return self.shifted | self.scaled | self.rarest | self.blanked


NOTHING: Final = Effect()


def effect_of(name: str | None, severity: float, schema: FeatureSchema) -> Effect | None:
    """What a drift must do; None for a drift that isn't described here."""
    if name is None or severity == 0:
        return NOTHING
    words = _WORDS.get(name)
    return None if words is None else words(severity, schema)


def _covariate(severity: float, schema: FeatureSchema) -> Effect:
    return Effect(
        shifted=_most(_numbers(schema)),
        shift=severity,
        rarest=_most(_categories(schema)),
        to_rarest=min(1.0, TO_RAREST * severity),
    )


def _category(severity: float, schema: FeatureSchema) -> Effect:
    to_rarest = min(1.0, TO_RAREST * severity)
    return Effect(rarest=_most(_categories(schema)), to_rarest=to_rarest)


def _single(severity: float, schema: FeatureSchema) -> Effect:
    numbers = _numbers(schema)
    if numbers:
        return Effect(shifted=_names(numbers[:1]), shift=severity)
    to_rarest = min(1.0, TO_RAREST * severity)
    return Effect(rarest=_names(_categories(schema)[:1]), to_rarest=to_rarest)


def _scale(severity: float, schema: FeatureSchema) -> Effect:
    return Effect(scaled=_most(_numbers(schema)), factor=1.0 + severity)


def _population(severity: float, schema: FeatureSchema) -> Effect:
    return Effect(replaced=min(1.0, severity), above=_numbers(schema)[0].name)


def _missing(severity: float, schema: FeatureSchema) -> Effect:
    nullable = [feature for feature in schema.features if feature.nullable]
    return Effect(blanked=_names(nullable), blank=min(1.0, BLANKED * severity))


_WORDS: Final[Mapping[str, Callable[[float, FeatureSchema], Effect]]] = {
    "covariate_shift": _covariate,
    "category_shift": _category,
    "single_column": _single,
    "scale": _scale,
    "missing": _missing,
    "label_shift": lambda severity, _: Effect(replaced=min(1.0, REPLACED * severity)),
    "population_shift": _population,
    "concept_drift": lambda severity, _: Effect(dealt=min(1.0, DEALT * severity)),
    "correlation_drift": lambda severity, _: Effect(apart=min(1.0, severity)),
}


def _numbers(schema: FeatureSchema) -> list[Feature]:
    return [feature for feature in schema.features if not is_category(feature)]


def _categories(schema: FeatureSchema) -> list[Feature]:
    return [feature for feature in schema.features if len(feature.categories) > 1]


def _most(features: list[Feature]) -> frozenset[str]:
    return _names(features[: math.ceil(CONTROL * len(features))])


def _names(features: list[Feature]) -> frozenset[str]:
    return frozenset(feature.name for feature in features)
