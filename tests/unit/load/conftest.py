"""Rows to send: a small schema with every kind of column, and the synthetic patients."""

from __future__ import annotations

import numpy as np
import pytest
from testbed_domain.artefact import LabelledRow
from testbed_domain.features import Feature, FeatureSchema, Row
from testbed_load.statistics import reference_statistics
from testbed_load.traffic import TrafficSource, load_source

SCHEMA = FeatureSchema(
    features=(
        Feature("count", "integer", "A count.", 0, 20),
        Feature("size", "number", "A size.", 0, 100),
        Feature("kind", "category", "A kind.", categories=("a", "b"), nullable=True),
        Feature("age", "integer", "An age.", 0, 120, nullable=True),
        Feature("level", "number", "A level."),
        Feature("shop", "category", "A shop.", categories=("x", "y"), other=True),
    ),
    target="outcome",
    classes=(0, 1),
    positive_class=1,
)


class Rows:
    """Draws rows of :data:`SCHEMA` from a seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def draw(self, n: int) -> list[LabelledRow]:
        """The next ``n`` rows."""
        return [self._one() for _ in range(n)]

    def _one(self) -> LabelledRow:
        rng = self._rng
        row: Row = {
            "count": int(rng.integers(0, 10)),
            "size": float(rng.normal(50, 10)),
            "kind": str(rng.choice(["a", "b"])),
            "age": None if rng.random() < 0.1 else int(rng.integers(20, 80)),
            "level": float(rng.normal(0, 2)),
            "shop": str(rng.choice(["x", "y"])),
        }
        return row, int(rng.random() < 0.3)


@pytest.fixture(scope="session")
def source() -> TrafficSource:
    """A source of rows of the small schema; it is only read."""
    reference = [row for row, _ in Rows(0).draw(500)]
    return TrafficSource(SCHEMA, reference_statistics(SCHEMA, reference), Rows)


@pytest.fixture(scope="session")
def patients() -> TrafficSource:
    """The synthetic use case, without a model."""
    return load_source(None, "diabetes")
