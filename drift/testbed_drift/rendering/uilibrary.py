"""What is used of Evidently's workspace and UI, imported here only."""

from __future__ import annotations

import warnings

# First, because it turns the usage reports off.
from testbed_drift.rendering import library as library  # noqa: PLC0414 - imported for that

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of other libraries inside Evidently
    import uuid6
    from evidently.core.metric_types import SingleValueCalculation, SingleValueMetric
    from evidently.legacy.utils import NumpyEncoder
    from evidently.sdk.models import PanelMetric, ProjectModel
    from evidently.sdk.panels import bar_plot_panel, line_plot_panel
    from evidently.ui.service.api.static import BASE_PATH as ASSETS
    from evidently.ui.service.app import create_app, get_config
    from evidently.ui.workspace import Workspace

__all__ = [
    "ASSETS",
    "NumpyEncoder",
    "PanelMetric",
    "ProjectModel",
    "SingleValueCalculation",
    "SingleValueMetric",
    "Workspace",
    "bar_plot_panel",
    "create_app",
    "get_config",
    "line_plot_panel",
    "uuid6",
]
