"""Webhooks: JSON of version 4, which holds the alerts themselves."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    INTEGRATIONS,
    URL,
    Integration,
    IntegrationConfig,
    key_hash,
    keys,
)


@INTEGRATIONS.register
class Webhook(Integration):
    """``webhook_configs``."""

    kind = "webhook"
    secrets = frozenset({"url", "url_file"})
    pointed = keys(url=URL)
    unread = frozenset({"version", "groupKey", "truncatedAlerts", "fingerprint", "receiver"})
    over = ("status", "resolved")

    def group(self, document: IntegrationConfig) -> str:
        """See the base."""
        return key_hash(str(document["groupKey"]))
