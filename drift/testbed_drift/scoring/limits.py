"""What a calibration changes in how windows are evaluated, wherever they come from. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from testbed_drift.scoring.levels import USUAL, Levels
from testbed_drift.scoring.scores import DriftRule

if TYPE_CHECKING:
    from testbed_drift.scoring.calibration import Calibration
    from testbed_drift.settings import DriftSettings


@dataclass(frozen=True, slots=True)
class ColumnLimits:
    """When a window is evaluated, and when a column of it drifted.

    Attributes:
        minimum: fewest rows of a window.
        purpose: what so many rows are needed for, in words.
        rule: of columns.
        levels: of the tests beside the rule's.
    """

    minimum: int
    purpose: str
    rule: DriftRule
    levels: Levels = USUAL

    @classmethod
    def of(cls, settings: DriftSettings, calibration: Calibration | None) -> Self:
        """Those of the settings, or of a calibration where that asks for more."""
        levels = Levels.of(settings.level)
        rule = DriftRule(
            alpha=levels.columns,
            class_alpha=levels.prediction,
            target_alpha=levels.target,
            max_alpha=None if settings.level is None else levels.columns,
        )
        if calibration is None:
            return cls(settings.min_rows, "", rule, levels)
        minimum = max(settings.min_rows, calibration.min_rows)
        return cls(minimum, calibration.purpose, replace(rule, alphas=calibration.alphas), levels)


def calibrated(settings: DriftSettings, calibration: Calibration | None) -> DriftSettings:
    """The settings with the calibration's share of drifted columns, unless they have one set."""
    if calibration is None or "alert_share" in settings.model_fields_set:
        return settings
    ratio = calibration.alert_share
    retrain = max(ratio, settings.retrain_share)
    return settings.model_copy(update={"alert_share": ratio, "retrain_share": retrain})
