"""Reports of two tables by the names of the preset ``titanic``; :mod:`.dataframes` makes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from testbed_domain.files import write_atomic

from testbed_drift.tables.dataframes import combined_report, drift_report

if TYPE_CHECKING:
    import pandas as pd

    from testbed_drift.tables.dataframes import TableReport


def generer_rapport_drift(
    reference_data: pd.DataFrame, current_data: pd.DataFrame, output_path: str | Path
) -> Path:
    """Write a drift report; see :func:`.dataframes.drift_report`.

    Args:
        reference_data: what was.
        current_data: what is.
        output_path: file of the page.

    Returns:
        The file.
    """
    return _write(drift_report(reference_data, current_data), output_path)


def generer_rapport_complet(
    reference_data: pd.DataFrame,
    current_data: pd.DataFrame,
    output_path: str | Path,
    target: str = "target",
    prediction: str = "prediction",
) -> Path:
    """Write drift and quality of the predictions in one; see :func:`.dataframes.combined_report`.

    Args:
        reference_data: what was.
        current_data: what is.
        output_path: file of the page.
        target: column of the labels.
        prediction: column of the predicted classes.

    Returns:
        The file.
    """
    report = combined_report(reference_data, current_data, target=target, prediction=prediction)
    return _write(report, output_path)


def _write(report: TableReport, output_path: str | Path) -> Path:
    path = Path(output_path)
    write_atomic(path, report.html())
    return path
