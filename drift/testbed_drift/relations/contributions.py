"""What each feature contributes to the model's answers, and which drift moves them. Pure.

A feature's contribution in a window is how much the model's answers change when its values are
shuffled among the window's rows: the mean total variation distance between the class probabilities
before and after, 0 to 1. Of numbers it is the mean absolute difference, beside that of two rows of
the window at random: what shuffling all features would change. That is permutation importance
(Breiman 2001; Fisher, Rudin and Dominici 2019, "All models are wrong, but many are useful") with
the model's own answer in place of the label, so it needs no labels. It speaks of the model, not of
the world: a feature that the model does not use contributes nothing. Shuffling takes columns apart
that belong together; where two say the same, each shows only what the other does not replace.

A drift weighs on the model as its size (its effect in least effects of the rule, 1 is where it
begins to matter) times the larger contribution of both windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from testbed_drift.scoring.matrices import sampled

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from testbed_drift.relations.models import Basis, ScoringModel
    from testbed_drift.scoring.scores import ColumnDrift, DriftScores
    from testbed_drift.scoring.statistics.base import Floats

# Rows of a window that are asked about, shuffled so often.
ROWS: Final = 1000
REPEATS: Final = 3


@dataclass(frozen=True, slots=True)
class Contribution:
    """One feature's.

    Attributes:
        column: feature.
        reference: contribution in the reference, 0 to 1.
        current: contribution in the window, 0 to 1.
        drift: its drift in least effects of the rule; None where it was not scored.
        drifted: whether the rule calls it drifted.
    """

    column: str
    reference: float
    current: float
    drift: float | None
    drifted: bool

    @property
    def change(self) -> float:
        """Contribution in the window less that in the reference."""
        return self.current - self.reference

    @property
    def effect(self) -> float | None:
        """How much its drift weighs on the model: contribution times drift."""
        return None if self.drift is None else max(self.reference, self.current) * self.drift

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "reference": self.reference,
            "current": self.current,
            "change": self.change,
            "drift": self.drift,
            "drifted": self.drifted,
            "effect": self.effect,
        }


@dataclass(frozen=True, slots=True)
class Contributions:
    """All features', the drift that weighs most on the model first.

    Attributes:
        basis: whether the served model was asked, or one that learnt its predictions.
        fidelity: how well such a surrogate foretells the predictions, 0 to 1.
        columns: features.
    """

    basis: Basis
    fidelity: float | None
    columns: tuple[Contribution, ...]

    @property
    def reason(self) -> str | None:
        """One phrase about the drifted columns, by their effect on the model; None without any."""
        drifted = [one for one in self.columns if one.drifted and one.effect is not None]
        if not drifted:
            return None
        named = ", ".join(f"{one.column} ({one.effect:.2f})" for one in drifted)
        who = "the model" if self.basis == "model" else "a surrogate of the model"
        return f"drift by its effect on {who}: {named}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {
            "basis": self.basis,
            "fidelity": self.fidelity,
            "columns": {one.column: one.to_dict() for one in self.columns},
        }


def contributions(
    model: ScoringModel,
    frame: pd.DataFrame,
    seed: int = 0,
    rows: int = ROWS,
    repeats: int = REPEATS,
) -> dict[str, float]:
    """Every feature's contribution in one window; empty where the model can answer no row of it.

    Args:
        model: what is asked.
        frame: rows as :func:`testbed_drift.rows.frames.declare` makes them.
        seed: of the sample and of the shuffling.
        rows: most rows that are asked about.
        repeats: how often each feature is shuffled.
    """
    coded = model.coded(sampled(frame, rows, seed))
    if not len(coded):
        return {}
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(coded)) for _ in range(repeats)]
    predicted = model.probabilities(coded)
    whole = _mean_distance(predicted)
    found = {}
    for name, places in model.places.items():
        shuffled = np.concatenate([coded] * repeats)
        shuffled[:, places] = np.concatenate([coded[order][:, places] for order in orders])
        answers = model.probabilities(shuffled).reshape(repeats, *predicted.shape)
        found[name] = float(np.abs(answers - predicted).sum(axis=2).mean() / whole)
    return found


def _mean_distance(predicted: Floats) -> float:
    """Mean distance of answers that have nothing to do with each other, or of classes the most."""
    if predicted.shape[1] > 1:
        return 2.0
    ordered = np.sort(predicted[:, 0])
    count = len(ordered)
    places = 2 * np.arange(count) - count + 1
    return float(2 * (places * ordered).sum() / count**2) or 1.0


def ranked(
    model: ScoringModel,
    reference: Mapping[str, float],
    current: Mapping[str, float],
    scores: DriftScores,
) -> Contributions:
    """Contributions of two windows beside the drift between them.

    Args:
        model: what was asked.
        reference: contributions in the reference.
        current: contributions in the window.
        scores: drift of the columns.
    """
    drifts = {column.column: column for column in scores.columns}
    found = [
        Contribution(
            name,
            reference[name],
            current[name],
            _size(drifts.get(name)),
            name in scores.drifted_columns,
        )
        for name in reference
        if name in current
    ]
    found.sort(key=lambda one: (-(one.effect or 0.0), -one.current, one.column))
    return Contributions(model.basis, model.fidelity, tuple(found))


def _size(column: ColumnDrift | None) -> float | None:
    leading = column.leading if column else None
    if leading is None or not np.isfinite(leading.value):
        return None
    return leading.value / leading.threshold
