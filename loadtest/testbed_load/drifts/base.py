"""A named drift: a transformation of sampled rows with a severity; numpy only, no I/O.

Severity 0 changes nothing, 1 is the stated size, more is more. A drift never makes a row that
the feature schema refuses: numbers are clipped to the schema's bounds, integers stay integers,
categories stay among those that it takes, values go missing only where they may. The label that
belongs to a row stays the one that the generator or the data set gave it, except under a drift of
labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from testbed_domain.features import Feature, FeatureSchema, Label, Row
from testbed_domain.registry import Registry

from testbed_load.errors import LoadError

if TYPE_CHECKING:
    import numpy as np

    from testbed_load.statistics import Statistics

Labelled: TypeAlias = tuple[list[Row], list[Label]]


@dataclass(frozen=True, slots=True)
class Context:
    """What a drift may look at besides the rows.

    Attributes:
        severity: above 0.
        schema: of the rows.
        statistics: of the reference rows and their labels.
        rng: source of all randomness.
        features: that it changes: the drift's own, or the one that was named.
        first: of each feature the first value that was known as the drift began; none where no
            row had one.
    """

    severity: float
    schema: FeatureSchema
    statistics: Statistics
    rng: np.random.Generator
    features: tuple[Feature, ...] = ()
    first: Row = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drift:
    """One named drift.

    Attributes:
        name: as in scenarios and plans.
        description: what severity 1 does, for people.
        change: the transformation of rows and labels.
        columns: the features that it changes; none means that it can't be used with a schema.
        of_labels: whether it changes labels and no feature, so that it needs none.
        choices: features of which a plan may name one, in place of ``columns``; None: it moves
            several, or none.
    """

    name: str
    description: str
    change: Callable[[Sequence[Row], Sequence[Label], Context], Labelled]
    columns: Callable[[FeatureSchema], tuple[Feature, ...]]
    of_labels: bool = False
    choices: Callable[[FeatureSchema], tuple[Feature, ...]] | None = None

    def features(self, schema: FeatureSchema, column: str | None) -> tuple[Feature, ...]:
        """The features that it changes: the named one, or its own.

        Raises:
            LoadError: it takes no named column, or not this one.
        """
        if column is None:
            return self.columns(schema)
        names = [feature.name for feature in self.choices(schema)] if self.choices else []
        if column not in names:
            which = f"it can move one of: {', '.join(names)}" if names else "it takes no column"
            raise LoadError(f"the drift {self.name!r} can't move the column {column!r}; {which}")
        return tuple(feature for feature in schema.features if feature.name == column)


DRIFTS: Final[Registry[Drift]] = Registry(
    "testbed.drifts", "testbed_load.drifts", lambda drift: drift.name
)
"""Every drift by its name: those of this folder, and those of installed packages."""
