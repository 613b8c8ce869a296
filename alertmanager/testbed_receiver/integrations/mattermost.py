"""Mattermost: incoming webhooks."""

from __future__ import annotations

from testbed_receiver.integrations.base import INTEGRATIONS, IntegrationReply
from testbed_receiver.integrations.discord import WebhookUrl


@INTEGRATIONS.register
class Mattermost(WebhookUrl):
    """``mattermost_configs``."""

    kind = "mattermost"
    unread = frozenset({"color", "icon_url", "icon_emoji", "type", "short"})
    answer = IntegrationReply("ok", "text/plain")
