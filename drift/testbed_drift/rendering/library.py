"""What is used of Evidently, imported here only: with its usage reports off, and in silence.

No private name of it is used. Five things stand in ``evidently.legacy``, since Evidently 0.7 has
them nowhere else and imports them from there itself: its widgets (tables and groups of figures),
the page and its data (apart, so that no text of a row can end the script element that holds them,
see :mod:`.page`), how it writes numpy's numbers as JSON, and its registry of drift methods, the
only way to give ``ValueDrift`` one (its own tests of categories are no two-sample tests, see
:func:`testbed_drift.scoring.statistics.categories.chi_square`).
"""

from __future__ import annotations

import os
import warnings

os.environ.setdefault("DO_NOT_TRACK", "1")  # Evidently reads it when it is imported
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of other libraries inside Evidently
    from evidently import (
        BinaryClassification,
        DataDefinition,
        Dataset,
        MulticlassClassification,
        Report,
    )
    from evidently.core.metric_types import SingleValueCalculation, SingleValueMetric
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.model.dashboard import DashboardInfo
    from evidently.legacy.renderers.html_widgets import group_widget, table_data
    from evidently.legacy.utils import NumpyEncoder
    from evidently.legacy.utils.dashboard import (
        TemplateParams,
        dashboard_info_to_json,
        file_html_template,
    )
    from evidently.metrics import ValueDrift
    from evidently.presets import ClassificationPreset

__all__ = [
    "BinaryClassification",
    "ClassificationPreset",
    "ColumnType",
    "DashboardInfo",
    "DataDefinition",
    "Dataset",
    "MulticlassClassification",
    "NumpyEncoder",
    "Report",
    "SingleValueCalculation",
    "SingleValueMetric",
    "StatTest",
    "TemplateParams",
    "ValueDrift",
    "dashboard_info_to_json",
    "file_html_template",
    "group_widget",
    "register_stattest",
    "table_data",
]
