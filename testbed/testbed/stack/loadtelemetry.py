"""Where the load sends telemetry of its own, in a run or beside one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.stack.addresses import COLLECTOR_HTTP

if TYPE_CHECKING:
    from testbed.stack.context import StackContext


def load_sends(context: StackContext) -> bool:
    """Whether the load sends telemetry: the settings ask for it, and there is who takes it."""
    taken = "collector" not in context.without and COLLECTOR_HTTP in context.endpoints
    return context.settings.load_telemetry and taken


def telemetry_options(context: StackContext) -> list[str]:
    """Options of Locust by which it does: straight to the Collector, past all gates and proxies."""
    return ["--otlp-endpoint", context.url(COLLECTOR_HTTP)] if load_sends(context) else []
