"""Rocket.Chat: chat.postMessage."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationReply,
    IntegrationRequest,
)


@INTEGRATIONS.register
class RocketChat(Integration):
    """``rocketchat_configs``."""

    kind = "rocketchat"
    resolves = False
    secrets = frozenset({"api_url", "token", "token_file", "token_id", "token_id_file"})
    unread = frozenset({"color", "emoji", "avatar", "short"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        del config, shared
        return {"api_url": url, "token": DUMMY, "token_id": DUMMY}

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """See the base."""
        del request
        return IntegrationReply('{"success": true}')
