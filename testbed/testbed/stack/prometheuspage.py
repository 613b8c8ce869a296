"""The page that a Prometheus without its web UI shows in its place.

Compiled from its Go module, Prometheus looks for the files of its UI where a checkout of it has
them, in a working directory that must be named ``prometheus``, and answers 500 without them. A
release's binary has its UI within and never looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_domain.files import write_atomic

from testbed.stack.addresses import CONSOLE
from testbed.templates import html_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed.layout import RunLayout

IN_CONSOLE: Final = {"query": "Query", "alerts": "Alerts", "rules": "Rules", "targets": "Targets"}
"""Pages of Prometheus that the console has under the same path, with their titles."""
API: Final = {
    "api/v1/query?query=up": "the value of a query",
    "api/v1/alerts": "alerts",
    "api/v1/rules": "rules",
    "api/v1/targets": "targets",
    "api/v1/alertmanagers": "Alertmanagers",
    "api/v1/status/config": "configuration",
    "api/v1/status/flags": "flags",
    "api/v1/status/runtimeinfo": "status",
    "api/v1/status/tsdb": "state of the database",
    "metrics": "its own metrics",
}
"""What answers in place of the UI's pages: path to what it says."""


def write_page(layout: RunLayout, endpoints: Mapping[str, str]) -> Path:
    """Write the page; the working directory in which Prometheus finds it.

    Args:
        layout: of the run.
        endpoints: Compose address to ``127.0.0.1:port``.
    """
    folder = layout.config / "prometheus"
    file = folder / "web/ui/static/mantine-ui/index.html"
    write_atomic(file, page_html(endpoints.get(CONSOLE)))
    return folder


def page_html(console: str | None) -> str:
    """The page.

    Args:
        console: address of the console; None where there is none.
    """
    template = html_environment(__package__).get_template("prometheus.html.j2")
    url = None if console is None else f"http://{console}"
    return template.render(console=url, pages=IN_CONSOLE, api=API)
