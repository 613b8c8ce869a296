"""Slack: incoming webhooks, and chat.postMessage of an app."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    INTEGRATIONS,
    URL,
    Integration,
    IntegrationReply,
    keys,
)


@INTEGRATIONS.register
class Slack(Integration):
    """``slack_configs``."""

    kind = "slack"
    resolves = False
    secrets = frozenset({"api_url", "api_url_file", "app_token", "app_token_file", "app_url"})
    pointed = keys(api_url=URL)
    unread = frozenset({"callback_id", "color", "mrkdwn_in", "icon_emoji", "icon_url", "short"})
    # Plain text, and anything but this is an error.
    answer = IntegrationReply("ok", "text/plain")
