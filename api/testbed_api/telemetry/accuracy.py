"""How often the model is right, or how far off, as its labels come."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_api.telemetry.instruments import Instruments

logger = logging.getLogger(__name__)
OUTCOMES: Final = dict(names.DECISIONS.values)[names.OUTCOME]


class AbsoluteErrors:
    """Records how far predicted numbers were from the true ones, per version.

    Args:
        instruments: the API's own metrics.
    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def count(self, decisions: Sequence[tuple[str, str, str]]) -> None:
        """Add predictions, each ``(model version, predicted number, true number)``, as text."""
        odd = 0
        for version, predicted, true in decisions:
            try:
                error = abs(float(predicted) - float(true))
            except ValueError:  # of a classifier that used this log before
                odd += 1
            else:
                self._instruments.absolute_error.record(error, {names.MODEL_VERSION: version})
        if odd:
            logger.error("%d labels belong to predictions that are not numbers: not counted", odd)


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
        for version, predicted, true in decisions:
            outcome = correct if predicted == true else wrong
            family.add(1, {names.MODEL_VERSION: version, names.OUTCOME: outcome})
        for version in {version for version, _, _ in decisions}:
            right, missed = (
                family.child({names.MODEL_VERSION: version, names.OUTCOME: outcome}).value
                for outcome in OUTCOMES
            )
            self._instruments.accuracy.set(right / (right + missed), {names.MODEL_VERSION: version})
