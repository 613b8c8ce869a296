"""How often the model is right, as its labels come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_api.instruments import Instruments

OUTCOMES: Final = dict(names.DECISIONS.values)[names.OUTCOME]


class Accuracy:
    """Counts right and wrong predictions per version, and publishes the share of right ones.

    The share covers the life of the replica; of the counters one takes that of any window, and of
    all replicas together.

    Args:
        instruments: the API's own metrics.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def count(self, decisions: Sequence[tuple[str, str, str]]) -> None:
        """Add decisions, each ``(model version, predicted class, true class)``."""
        correct, wrong = OUTCOMES
        family = self._instruments.decisions
        for version, told, true in decisions:
            outcome = correct if told == true else wrong
            family.add(1, {names.MODEL_VERSION: version, names.OUTCOME: outcome})
        for version in {version for version, _, _ in decisions}:
            right, missed = (
                family.cell({names.MODEL_VERSION: version, names.OUTCOME: outcome}).value
                for outcome in OUTCOMES
            )
            self._instruments.accuracy.set(right / (right + missed), {names.MODEL_VERSION: version})
