"""PagerDuty: the events API of version 2."""

from __future__ import annotations

from typing import Literal

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationReply,
    IntegrationRequest,
)


@INTEGRATIONS.register
class PagerDuty(Integration):
    """``pagerduty_configs``."""

    kind = "pagerduty"
    secrets = frozenset({"routing_key", "routing_key_file", "url"})
    unread = frozenset({"routing_key", "dedup_key", "event_action"})

    def problem(self, config: IntegrationConfig) -> str:
        """The address of version 1 is built into Alertmanager."""
        if {"service_key", "service_key_file"}.isdisjoint(config):
            return ""
        return "Alertmanager has the address of the events API v1 (service_key) built in"

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        del config, shared
        return {"routing_key": DUMMY, "url": url}

    def status(self, document: IntegrationConfig) -> Literal["firing", "resolved", ""]:
        """See the base."""
        return "resolved" if document["event_action"] == "resolve" else "firing"

    def group(self, document: IntegrationConfig) -> str:
        """See the base."""
        return str(document["dedup_key"])

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """See the base."""
        del request
        return IntegrationReply('{"status": "success", "message": "Event processed"}', status=202)
