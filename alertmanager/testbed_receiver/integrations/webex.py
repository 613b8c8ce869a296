"""Webex: messages of a bot."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
)


@INTEGRATIONS.register
class Webex(Integration):
    """``webex_configs``."""

    kind = "webex"
    secrets = frozenset({"api_url"})
    unread = frozenset({"roomId"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """Alertmanager wants credentials of it, and nowhere else than here."""
        del config, shared
        return {"api_url": url, "http_config": {"authorization": {"credentials": DUMMY}}}
