"""Webhooks: JSON of version 4, which holds the alerts themselves."""

from __future__ import annotations

from typing import Literal

from testbed_receiver.integrations.base import (
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    key_hash,
)


@INTEGRATIONS.register
class Webhook(Integration):
    """``webhook_configs``."""

    kind = "webhook"
    secrets = frozenset({"url", "url_file"})
    unread = frozenset({"version", "groupKey", "truncatedAlerts", "fingerprint", "receiver"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        del config, shared
        return {"url": url}

    def status(self, document: IntegrationConfig) -> Literal["firing", "resolved", ""]:
        """See the base."""
        return "resolved" if document["status"] == "resolved" else "firing"

    def group(self, document: IntegrationConfig) -> str:
        """See the base."""
        return key_hash(str(document["groupKey"]))
