"""What is used of Evidently, imported here only: with its usage reports off, and in silence."""

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
    from evidently.core.metric_types import (
        SingleValueCalculation,
        SingleValueMetric,
        render_widgets,
    )
    from evidently.legacy.calculations.stattests.registry import StatTest, register_stattest
    from evidently.legacy.core import ColumnType
    from evidently.legacy.renderers.html_widgets import group_widget, table_data
    from evidently.metrics import ValueDrift
    from evidently.presets import ClassificationPreset

__all__ = [
    "BinaryClassification",
    "ClassificationPreset",
    "ColumnType",
    "DataDefinition",
    "Dataset",
    "MulticlassClassification",
    "Report",
    "SingleValueCalculation",
    "SingleValueMetric",
    "StatTest",
    "ValueDrift",
    "group_widget",
    "register_stattest",
    "render_widgets",
    "table_data",
]
