"""Rocket.Chat: chat.postMessage."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    URL,
    Integration,
    IntegrationReply,
    keys,
)


@INTEGRATIONS.register
class RocketChat(Integration):
    """``rocketchat_configs``."""

    kind = "rocketchat"
    resolves = False
    secrets = frozenset({"api_url", "token", "token_file", "token_id", "token_id_file"})
    pointed = keys(api_url=URL, token=DUMMY, token_id=DUMMY)
    unread = frozenset({"color", "emoji", "avatar", "short"})
    answer = IntegrationReply('{"success": true}')
