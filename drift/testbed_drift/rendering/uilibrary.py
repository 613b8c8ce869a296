"""What is used of Evidently's workspace and UI, imported here only."""

from __future__ import annotations

import warnings
from typing import Any

# First, because it turns the usage reports off.
from testbed_drift.rendering import library as library  # noqa: PLC0414 - imported for that

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations of other libraries inside Evidently
    import uuid6
    from evidently.sdk.models import PanelMetric, ProjectModel
    from evidently.sdk.panels import bar_plot_panel, line_plot_panel
    from evidently.ui.service.api.static import BASE_PATH as ASSETS
    from evidently.ui.service.app import create_app as _create_app
    from evidently.ui.service.app import get_config
    from evidently.ui.workspace import Workspace
    from litestar import Response

__all__ = [
    "ASSETS",
    "PanelMetric",
    "ProjectModel",
    "Workspace",
    "bar_plot_panel",
    "create_app",
    "get_config",
    "line_plot_panel",
    "uuid6",
]


def create_app(config: Any) -> Any:  # noqa: ANN401 - Evidently is untyped
    """Evidently's UI; JSON that is nested without end is refused as other JSON that can't be read.

    Args:
        config: of :func:`get_config`.
    """
    app = _create_app(config)
    app.exception_handlers[RecursionError] = _too_deep
    return app


def _too_deep(_request: object, _error: RecursionError) -> Any:  # noqa: ANN401 - Litestar's generics
    return Response({"status_code": 400, "detail": "JSON is nested too deeply"}, status_code=400)
