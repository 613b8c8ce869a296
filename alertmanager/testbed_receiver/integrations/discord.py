"""Discord, and all that takes JSON at a ``webhook_url``."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
)


class WebhookUrl(Integration):
    """Base of integrations whose one address is ``webhook_url``."""

    secrets = frozenset({"webhook_url", "webhook_url_file"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        del config, shared
        return {"webhook_url": url}


@INTEGRATIONS.register
class Discord(WebhookUrl):
    """``discord_configs``."""

    kind = "discord"
    unread = frozenset({"color", "avatar_url"})
