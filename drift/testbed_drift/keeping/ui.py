"""Evidently's UI on a workspace, without reports of its use to anybody."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import uvicorn

from testbed_drift.rendering.uilibrary import create_app, get_config

if TYPE_CHECKING:
    from pathlib import Path


def serve(workspace: Path, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        workspace: folder of the runs; made where it is missing.
        host: address to listen on. Whoever reaches it may change and delete: keep it to loopback.
        port: port to listen on.
    """
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    config = get_config(host=host, port=port, workspace=str(workspace))
    config.telemetry.enabled = False
    uvicorn.run(create_app(config), host=host, port=port, log_level="warning")
