"""Evidently's UI on a workspace, without reports of its use to anybody."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn
from testbed_domain.boundedconnections import Bounds, bounded
from testbed_domain.callerguard import CallerGuard
from testbed_domain.callers import names_of
from testbed_domain.scripthashes import script_hashes
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from testbed_drift.rendering.uilibrary import ASSETS, create_app, get_config

if TYPE_CHECKING:
    from testbed_domain.callerguard import Application

NAMES_OPTION: Final = "--names"
BOUNDS: Final = Bounds(answer_seconds=120.0)
"""A page is several megabytes, made when it is asked for."""


def guarded(app: Application, names: str = "") -> Application:
    """Evidently's UI, asked by no page of another site, and running no script but its own.

    It has no users and no secret of its own that its pages could send: whoever reaches its port may
    change and delete.

    Args:
        app: Evidently's.
        names: host names by which it may be asked, with commas between.
    """
    index = Path(ASSETS, "index.html").read_text(encoding="utf-8")
    policy = (
        f"default-src 'self'; script-src 'self' {script_hashes(index)}; "
        "style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'"
    )
    headers = (("content-security-policy", policy), ("x-content-type-options", "nosniff"))
    return CallerGuard(app, names_of(names), NAMES_OPTION, headers)


def serve(workspace: Path, host: str, port: int, names: str = "") -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        workspace: folder of the runs; made where it is missing.
        host: address to listen on. Whoever reaches it may change and delete: keep it to loopback.
        port: port to listen on.
        names: host names by which it may be asked, with commas between.
    """
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    config = get_config(host=host, port=port, workspace=str(workspace))
    config.telemetry.enabled = False
    app = guarded(create_app(config), names)
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        http=bounded(HttpToolsProtocol, BOUNDS),
        ws="none",
    )
