"""PagerDuty: the events API of version 2."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    URL,
    Integration,
    IntegrationConfig,
    IntegrationReply,
    keys,
)


@INTEGRATIONS.register
class PagerDuty(Integration):
    """``pagerduty_configs``."""

    kind = "pagerduty"
    secrets = frozenset({"routing_key", "routing_key_file", "url"})
    pointed = keys(routing_key=DUMMY, url=URL)
    unread = frozenset({"routing_key", "dedup_key", "event_action"})
    over = ("event_action", "resolve")
    grouped = "dedup_key"
    answer = IntegrationReply('{"status": "success", "message": "Event processed"}', status=202)

    def problem(self, config: IntegrationConfig) -> str:
        """The address of version 1 is built into Alertmanager."""
        if {"service_key", "service_key_file"}.isdisjoint(config):
            return ""
        return "Alertmanager has the address of the events API v1 (service_key) built in"
