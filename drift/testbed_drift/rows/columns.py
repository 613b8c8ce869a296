"""Columns of a window beside the features, and kinds of columns."""

from __future__ import annotations

from typing import Final, Literal

# Words that no feature is likely to have as its name.
PREDICTION: Final = "predicted class"
TARGET: Final = "true class"

ColumnKind = Literal["numeric", "category"]
