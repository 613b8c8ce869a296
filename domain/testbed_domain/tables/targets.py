"""What the target of a table holds: classes, or the numbers of a regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from testbed_domain.tables.columnkinds import kind_of, numbers, without_blanks, without_markers

if TYPE_CHECKING:
    import pandas as pd

    from testbed_domain.features import Task

MAXIMUM_CLASSES: Final = 20


def task_of(values: pd.Series[Any], decimal: str | None = None, hint: str | None = None) -> Task:
    """Regression where a column holds numbers, and more different ones than classes may be.

    Args:
        values: the target; what is missing, in whatever words, does not count.
        decimal: the decimal mark of its texts; None has them say it.
        hint: the decimal mark where they leave a doubt.
    """
    values = without_blanks(values)
    if kind_of(values, typed=False, decimal=decimal) != "number":
        return "classification"
    read = numbers(without_markers(values).dropna(), decimal, hint)
    many = len(np.unique(read)) > MAXIMUM_CLASSES
    return "regression" if many and np.isfinite(read).all() else "classification"
