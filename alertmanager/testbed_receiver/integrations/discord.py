"""Discord, and all that takes JSON at a ``webhook_url``."""

from __future__ import annotations

from testbed_receiver.integrations.base import INTEGRATIONS, URL, Integration, keys


class WebhookUrl(Integration):
    """Base of integrations whose one address is ``webhook_url``."""

    secrets = frozenset({"webhook_url", "webhook_url_file"})
    pointed = keys(webhook_url=URL)


@INTEGRATIONS.register
class Discord(WebhookUrl):
    """``discord_configs``."""

    kind = "discord"
    unread = frozenset({"color", "avatar_url"})
