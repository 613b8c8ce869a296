"""What is used of Evidently, imported here only: with its usage reports off, and in silence.

No private name of it is used, and nothing of ``evidently.legacy``, which a test holds
(``tests/config/test_private_names.py``).
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
    from evidently.core.metric_types import (
        SingleValueCalculation,
        SingleValueMetric,
        get_default_render,
        render_widgets,
    )
    from evidently.metrics import ValueDrift
    from evidently.metrics.column_statistics import distribution
    from evidently.presets import ClassificationPreset

__all__ = [
    "BinaryClassification",
    "ClassificationPreset",
    "DataDefinition",
    "Dataset",
    "MulticlassClassification",
    "Report",
    "SingleValueCalculation",
    "SingleValueMetric",
    "ValueDrift",
    "distribution",
    "get_default_render",
    "render_widgets",
]
