"""What each named drift must do, written anew from ``docs/reference/drifts.md``.

On purpose it shares no code with the load's drifts: one that does not do what it says is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from testbed_domain.features import Feature, FeatureSchema

from testbed.facts.tables import is_category

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TO_RAREST: Final = 0.3
BLANKED: Final = 0.3
REPLACED: Final = 0.5
DEALT: Final = 0.5
POUNDS: Final = 2.20462
NEW: Final = "never seen before"
RENEWED: Final = 0.3
CONTROL: Final = 0.75
"""The first three quarters of the columns move; the others are a control."""


@dataclass(frozen=True)
class DriftEffect:
    """What a drift does to rows; all shares are 0 to 1.

    Attributes:
        shifted: columns whose numbers grow by ``shift`` standard deviations of the reference.
        shift: how many.
        scaled: columns whose numbers are multiplied by ``factor``.
        factor: by what.
        stuck: columns that have the first known value of their phase.
        renewed: categories that have a value which nobody knew.
        part: share of the rows in which columns are scaled, stuck or renewed.
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
    stuck: frozenset[str] = frozenset()
    renewed: frozenset[str] = frozenset()
    part: float = 1.0
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
        several = self.shifted | self.scaled | self.rarest | self.blanked
        return several | self.stuck | self.renewed


NOTHING: Final = DriftEffect()


def effect_of(
    name: str | None, severity: float, schema: FeatureSchema, column: str | None = None
) -> DriftEffect | None:
    """What a drift must do; None for a drift that isn't described here.

    Args:
        name: of the drift.
        severity: its severity.
        schema: of the rows.
        column: that it moves in place of its own.
    """
    if name is None or severity == 0:
        return NOTHING
    words = _WORDS.get(name)
    if words is None:
        return None
    if column is None:
        return words(severity, schema)
    # A drift of one column finds just the named one in such a schema.
    named = tuple(feature for feature in schema.features if feature.name == column)
    return words(severity, replace(schema, features=named)) if named else None


def _covariate(severity: float, schema: FeatureSchema) -> DriftEffect:
    return DriftEffect(
        shifted=_majority(_numbers(schema)),
        shift=severity,
        rarest=_majority(_categories(schema)),
        to_rarest=min(1.0, TO_RAREST * severity),
    )


def _category(severity: float, schema: FeatureSchema) -> DriftEffect:
    to_rarest = min(1.0, TO_RAREST * severity)
    return DriftEffect(rarest=_majority(_categories(schema)), to_rarest=to_rarest)


def _single(severity: float, schema: FeatureSchema) -> DriftEffect:
    numbers = _numbers(schema)
    if numbers:
        return DriftEffect(shifted=_names(numbers[:1]), shift=severity)
    to_rarest = min(1.0, TO_RAREST * severity)
    return DriftEffect(rarest=_names(_categories(schema)[:1]), to_rarest=to_rarest)


def _scale(severity: float, schema: FeatureSchema) -> DriftEffect:
    return DriftEffect(scaled=_majority(_numbers(schema)), factor=1.0 + severity)


def _population(severity: float, schema: FeatureSchema) -> DriftEffect:
    return DriftEffect(replaced=min(1.0, severity), above=_numbers(schema)[0].name)


def _missing(severity: float, schema: FeatureSchema) -> DriftEffect:
    nullable = [feature for feature in schema.features if feature.nullable]
    return DriftEffect(blanked=_names(nullable), blank=min(1.0, BLANKED * severity))


def _swapped(severity: float, schema: FeatureSchema) -> DriftEffect:
    scaled = _names(_measured(schema))
    return DriftEffect(scaled=scaled, factor=POUNDS, part=min(1.0, severity))


def _stuck(severity: float, schema: FeatureSchema) -> DriftEffect:
    held = _measured(schema) or list(schema.features[:1])
    return DriftEffect(stuck=_names(held), part=min(1.0, severity))


def _new(severity: float, schema: FeatureSchema) -> DriftEffect:
    free = [f for f in schema.features if is_category(f) and (f.other or not f.categories)]
    return DriftEffect(renewed=_names(free[:1]), part=min(1.0, RENEWED * severity))


_WORDS: Final[Mapping[str, Callable[[float, FeatureSchema], DriftEffect]]] = {
    "covariate_shift": _covariate,
    "category_shift": _category,
    "single_column": _single,
    "scale": _scale,
    "missing": _missing,
    "swapped_unit": _swapped,
    "stuck_sensor": _stuck,
    "new_category": _new,
    "label_shift": lambda severity, _: DriftEffect(replaced=min(1.0, REPLACED * severity)),
    "population_shift": _population,
    "concept_drift": lambda severity, _: DriftEffect(dealt=min(1.0, DEALT * severity)),
    "correlation_drift": lambda severity, _: DriftEffect(apart=min(1.0, severity)),
}


def _numbers(schema: FeatureSchema) -> list[Feature]:
    return [feature for feature in schema.features if not is_category(feature)]


def _measured(schema: FeatureSchema) -> list[Feature]:
    """The first column of numbers that are no counts, or else of counts."""
    numbers = _numbers(schema)
    return [feature for feature in numbers if feature.kind == "number"][:1] or numbers[:1]


def _categories(schema: FeatureSchema) -> list[Feature]:
    return [feature for feature in schema.features if len(feature.categories) > 1]


def _majority(features: list[Feature]) -> frozenset[str]:
    return _names(features[: math.ceil(CONTROL * len(features))])


def _names(features: list[Feature]) -> frozenset[str]:
    return frozenset(feature.name for feature in features)
