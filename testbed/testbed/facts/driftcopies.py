"""How many of a window's rows are no copies of others, as the drift job must count them. Pure.

Copies are no further witnesses to a test: the job's p-values stand on the rows that differ. Rows of
a few categories are equal by chance, and are none. Written from the documented rule
(docs/how-to/drift-windows.md), and not with the job's own code.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Features = Mapping[str, Sequence[Any]]

MANY: Final = 2.0
"""Times as many equal pairs of rows as chance makes, from which on they are copies."""
MIN: Final = 0.4
"""Least ratio: where fewer rows differ, something stands still, and drift it is."""


def witnesses(before: Features, now: Features, names: Iterable[str]) -> tuple[float, float]:
    """Of the reference and of a window, the ratio of their rows that are no copies.

    Args:
        before: feature to the values of the reference's rows.
        now: the same of the window.
        names: features in which copies are equal.
    """
    chosen = list(names)
    old, new = (
        Counter(zip(*(part[name] for name in chosen), strict=True)) for part in (before, now)
    )
    pairs = sum(count * new[row] for row, count in old.items())
    chance = pairs / max(old.total() * new.total(), 1)
    return _ratio(old, chance), _ratio(new, chance)


def _ratio(rows: Counter[tuple[Any, ...]], chance: float) -> float:
    total = rows.total()
    equal = sum(count * (count - 1) for count in rows.values()) / max(total * (total - 1), 1)
    return max(len(rows) / total, MIN) if equal > MANY * chance else 1.0
