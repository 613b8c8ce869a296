"""Mattermost: incoming webhooks."""

from __future__ import annotations

from testbed_receiver.integrations.base import INTEGRATIONS, IntegrationReply, IntegrationRequest
from testbed_receiver.integrations.discord import WebhookUrl


@INTEGRATIONS.register
class Mattermost(WebhookUrl):
    """``mattermost_configs``."""

    kind = "mattermost"
    unread = frozenset({"color", "icon_url", "icon_emoji", "type", "short"})

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """See the base."""
        del request
        return IntegrationReply("ok", "text/plain")
