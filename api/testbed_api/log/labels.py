"""Labels that come for predictions, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from typing_extensions import TypedDict

if TYPE_CHECKING:
    from testbed_domain.features import Label

LabelOutcome: TypeAlias = Literal["stored", "duplicate", "unknown"]


class LabelItem(TypedDict):
    """One label of a request."""

    prediction_id: str
    label: Label


class LabelBatch(TypedDict):
    """Labels of a request."""

    labels: list[LabelItem]
