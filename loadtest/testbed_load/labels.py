"""Labels that wait until they may be known; pure."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from testbed_domain.features import Label

    from testbed_load.plan import LabelPlan

BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class DelayedLabel:
    """Truth of an answered prediction, and when it may be posted (Unix seconds)."""

    seq: int
    prediction_id: str
    label: Label
    due: float


class DelayedLabels:
    """Holds back the labels of the chosen share of the predictions.

    Args:
        plan: share and delay.
        seed: together with a request's number it alone decides whether its label comes.
    """

    def __init__(self, plan: LabelPlan, seed: int) -> None:
        self._plan = plan
        self._seed = seed
        self._waiting: deque[DelayedLabel] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def chosen(self, seq: int) -> bool:
        """Whether the label of request ``seq`` is among the share that comes."""
        ratio = self._plan.ratio
        if ratio in (0.0, 1.0):
            return ratio == 1.0
        return random.Random(f"label {self._seed} {seq}").random() < ratio  # noqa: S311 - seeded on purpose, no secret

    def add(self, seq: int, prediction_id: str, label: Label, now: float) -> None:
        """Take the label of a prediction that was answered at ``now``."""
        if self.chosen(seq):
            self._waiting.append(DelayedLabel(seq, prediction_id, label, now + self._plan.delay))

    def take(self, now: float) -> list[DelayedLabel]:
        """Labels that are due at ``now``, at most :data:`BATCH`; they are gone from here."""
        batch: list[DelayedLabel] = []
        while self._waiting and self._waiting[0].due <= now and len(batch) < BATCH:
            batch.append(self._waiting.popleft())
        return batch
