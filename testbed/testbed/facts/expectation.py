"""What columns and labels must look like under a drift, from the reference rows and its words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np

from testbed.facts.driftwords import NEW
from testbed.facts.tables import MISSING, Tabulator, gone, is_category

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed_domain.features import Feature, FeatureSchema

    from testbed.facts.driftwords import DriftEffect
    from testbed.facts.tables import LogTable

BLOCK: Final = 256
"""Rows that the load drifts together: what is dealt out anew stays within them."""


@dataclass(frozen=True)
class ReferenceRows:
    """The reference rows of the artefact.

    Attributes:
        tabulator: of the schema.
        table: the rows.
        drawn_from: whether traffic is drawn from these very rows, not from their generator.
    """

    tabulator: Tabulator
    table: LogTable
    drawn_from: bool

    @property
    def schema(self) -> FeatureSchema:
        """Of the rows."""
        return self.tabulator.schema

    @cached_property
    def sigma(self) -> dict[str, float]:
        """Standard deviation of each column of numbers; missing values don't count."""
        found = {}
        for feature in self.schema.features:
            values = self.table.columns[feature.name]
            if not is_category(feature):
                values = values[~np.isnan(values)]
                found[feature.name] = float(values.std()) if len(values) else 0.0
        return found

    @cached_property
    def rarest(self) -> dict[str, int]:
        """Code of each category's rarest known value, the first of equals."""
        found = {}
        for feature in self.schema.features:
            if feature.categories:
                counts = Counter(self.table.columns[feature.name].tolist())
                known = range(MISSING + 1, MISSING + 1 + len(feature.categories))
                found[feature.name] = min(known, key=lambda code: counts[code])
        return found

    @property
    def wanted(self) -> int:
        """Place of the positive class, of the last one, or of the top quarter of numbers."""
        schema = self.schema
        if schema.positive_class is None:
            return len(self.tabulator.strata) - 1
        return schema.classes.index(schema.positive_class)

    def donors(self, effect: DriftEffect, table: LogTable) -> np.ndarray:
        """Which rows may take the place of others under a drift that replaces rows."""
        if effect.above is None:
            return np.asarray(table.labels == self.wanted)
        own = self.table.columns[effect.above]
        middle = np.nanmedian(own)
        if not (own > middle).any():
            return np.asarray(table.columns[effect.above] == middle)  # nothing is larger
        return np.asarray(table.columns[effect.above] > middle)


class SeriesExpectation:
    """What a sample must look like.

    Args:
        reference: the undrifted rows.
        effect: what the drift does.
        held: of each column the first value of the phase that is not missing, as in a table.
    """

    def __init__(
        self,
        reference: ReferenceRows,
        effect: DriftEffect,
        held: Mapping[str, float] | None = None,
    ) -> None:
        self.reference = reference
        self.effect = effect
        self.held = {} if held is None else held
        table = reference.table
        donor = reference.donors(effect, table)
        ratio = float(donor.mean())
        donors = 1.0 - (1.0 - ratio) ** BLOCK  # a block without such a row stays
        replaced = effect.replaced * donors
        self._weights = np.full(len(table), (1.0 - replaced) / len(table))
        if donor.any():
            self._weights[donor] += replaced / donor.sum()
        size = len(reference.tabulator.strata)
        self.labels = np.bincount(table.labels, weights=self._weights, minlength=size)
        # Rows that stand in for others come several times: 1 + Poisson(extra) times each.
        extra = replaced * (1.0 - ratio) / ratio if ratio else 0.0
        self.inflation = 1.0 + extra + extra / (1.0 + extra)

    def numbers(self, feature: Feature) -> tuple[np.ndarray, np.ndarray]:
        """Values of a column that are not missing, and how likely each is."""
        values = self.reference.table.columns[feature.name]
        known = ~np.isnan(values)
        values, weights = values[known], self._weights[known]
        if feature.name in self.effect.stuck and feature.name in self.held:
            part = self.effect.part  # of all rows, with those whose value was missing
            values = np.append(values, self.held[feature.name])
            weights = np.append(weights * (1.0 - part), part)
            return values, weights / weights.sum()
        weights = weights / weights.sum() if len(weights) else weights
        moved = self.moved_numbers(feature, values)
        if moved is None:
            return values, weights
        low, high, up = moved
        part = self.part(feature)
        return (
            np.concatenate((low, high, values)),
            np.concatenate((part * weights * (1 - up), part * weights * up, (1 - part) * weights)),
        )

    def part(self, feature: Feature) -> float:
        """Share of the rows in which the drift moves a column; of a shift these are all."""
        name, effect = feature.name, self.effect
        return effect.part if name in effect.scaled | effect.stuck | effect.renewed else 1.0

    def goal(self, feature: Feature) -> int | None:
        """Code that a category has wherever the drift moves it; None where there is no such."""
        name, effect = feature.name, self.effect
        if name in effect.renewed:
            return self.reference.tabulator.code(feature, NEW)
        return int(self.held[name]) if name in effect.stuck and name in self.held else None

    def moved_numbers(
        self, feature: Feature, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """What becomes of numbers: the lower and the upper result, and how likely the upper is.

        They are the same but for whole numbers, which are rounded up or down at random. None
        where the drift leaves the column alone.
        """
        name, effect = feature.name, self.effect
        if name in effect.shifted:
            moved = values + effect.shift * self.reference.sigma[name]
        elif name in effect.scaled:
            moved = values * effect.factor
        elif name in effect.stuck and name in self.held:
            moved = np.full(len(values), self.held[name])
        else:
            return None
        if feature.kind != "integer":
            return _clip(feature, moved), _clip(feature, moved), np.zeros(len(moved))
        low = np.floor(moved)
        return _clip(feature, low), _clip(feature, low + 1), moved - low

    def missing(self, feature: Feature) -> float:
        """Share of a column's values that are missing."""
        values = self.reference.table.columns[feature.name]
        own = float(self._weights[gone(feature, values)].sum())
        if feature.name in self.effect.stuck and feature.name in self.held:
            own *= 1.0 - self.effect.part
        blank = self.effect.blank if feature.name in self.effect.blanked else 0.0
        return own + (1.0 - own) * blank

    def ratios(self, feature: Feature) -> np.ndarray:
        """Share of each code of a category."""
        codes = self.reference.table.columns[feature.name]
        size = self.reference.tabulator.size(feature)
        found = np.asarray(np.bincount(codes, weights=self._weights, minlength=size), float)
        name, effect = feature.name, self.effect
        if (goal := self.goal(feature)) is not None:
            room = np.zeros(max(0, goal + 1 - len(found)))
            found = np.concatenate((found, room)) * (1.0 - effect.part)
            found[goal] += effect.part
        if name in effect.rarest:
            known = found.copy()
            known[MISSING] = 0.0
            found = found - effect.to_rarest * known
            found[self.reference.rarest[name]] += effect.to_rarest * known.sum()
        if name in effect.blanked:
            known = found.copy()
            known[MISSING] = 0.0
            found = found - effect.blank * known
            found[MISSING] += effect.blank * known.sum()
        return found


def held_values(drawn: LogTable) -> dict[str, float]:
    """Of each column the first value of the first block that is not missing."""
    found = {}
    for name, values in drawn.columns.items():
        block = values[:BLOCK]
        lost = block == MISSING if block.dtype == np.int64 else np.isnan(block)
        if (~lost).any():
            found[name] = float(block[~lost][0])
    return found


def _clip(feature: Feature, values: np.ndarray) -> np.ndarray:
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    return np.asarray(np.clip(values, low, high))
