"""Integrations of Alertmanager: one module each, found by this folder or by entry points."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    INTEGRATIONS,
    Integration,
    IntegrationReply,
    IntegrationRequest,
    RenderedText,
)

__all__ = [
    "INTEGRATIONS",
    "Integration",
    "IntegrationReply",
    "IntegrationRequest",
    "RenderedText",
]
