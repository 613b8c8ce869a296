"""Slack: incoming webhooks, and chat.postMessage of an app."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationReply,
    IntegrationRequest,
)


@INTEGRATIONS.register
class Slack(Integration):
    """``slack_configs``."""

    kind = "slack"
    resolves = False
    secrets = frozenset({"api_url", "api_url_file", "app_token", "app_token_file", "app_url"})
    unread = frozenset({"callback_id", "color", "mrkdwn_in", "icon_emoji", "icon_url", "short"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        del config, shared
        return {"api_url": url}

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """Slack answers a webhook in plain text, and anything but this is an error."""
        del request
        return IntegrationReply("ok", "text/plain")
