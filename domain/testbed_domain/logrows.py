"""Rows of the prediction log, one by one and as columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from testbed_domain.features import Row, Value


class PredictionRow(NamedTuple):
    """One row of ``predictions``; the columns say what each field is."""

    id: str
    time: float
    request_id: str | None
    instance: str
    model_name: str
    model_version: str
    features: Row
    prediction: str
    probability: float
    probabilities: dict[str, float]


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of the log as columns of equal length, ready for a data frame.

    Attributes:
        features: feature name to values.
        prediction: predicted classes, as text.
        probability: probabilities of the predicted classes.
        label: true classes, as text; None where the label has not come.
        id: prediction ids; empty for reference rows.
        time: UTC Unix seconds; empty for reference rows.
        probabilities: class (as text) to probability.
        label_time: UTC Unix seconds at which the label came, or None; empty for reference rows.
    """

    features: Mapping[str, Sequence[Value]]
    prediction: Sequence[str]
    probability: Sequence[float]
    label: Sequence[str | None]
    id: Sequence[str]
    time: Sequence[float]
    probabilities: Sequence[Mapping[str, float]] = field(default_factory=list)
    label_time: Sequence[float | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.prediction)


@dataclass(frozen=True, slots=True)
class LoggedVersion:
    """What the log holds of one model version; times are UTC Unix seconds."""

    model_name: str
    model_version: str
    rows: int
    first: float
    last: float
