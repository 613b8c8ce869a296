"""Findings: what was held against what, how often it differed, and a few examples."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from statistics import median
from typing import Final

from testbed.charts import StoredModel

EXAMPLES: Final = 3
"""Examples that a finding keeps."""


class StoredFinding(StoredModel):
    """One thing that is not as it should be.

    Attributes:
        kind: what kind of thing.
        subject: what it is about, such as a column; empty where the kind says all.
        count: how often.
        of: of how many that were looked at.
        examples: the first few, in words.
        offset: median of how far it was off, where that is a number.
    """

    kind: str
    subject: str = ""
    count: int
    of: int
    examples: tuple[str, ...] = ()
    offset: float = 0.0

    @property
    def ratio(self) -> str:
        """How often, in words: ``10.2 % of 2,650``."""
        return f"{100 * self.count / max(1, self.of):.3g} % of {self.of:,}"


class Findings:
    """Gathers findings while rows pass."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()
        self._examples: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._offsets: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def add(
        self, kind: str, example: str, *, subject: str = "", offset: float | None = None
    ) -> None:
        """One more of a kind."""
        key = (kind, subject)
        self._counts[key] += 1
        if len(self._examples[key]) < EXAMPLES:
            self._examples[key].append(example)
        if offset is not None:
            self._offsets[key].append(offset)

    def all(self, of: int, **others: int) -> tuple[StoredFinding, ...]:
        """Every finding, the most frequent first.

        Args:
            of: how many were looked at.
            others: the same for kinds that look at others, by kind.
        """
        return tuple(
            StoredFinding(
                kind=kind,
                subject=subject,
                count=count,
                of=others.get(kind, of),
                examples=tuple(self._examples[kind, subject]),
                offset=_median(self._offsets.get((kind, subject), [])),
            )
            for (kind, subject), count in self._counts.most_common()
        )


def _median(values: list[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return median(known) if known else 0.0
