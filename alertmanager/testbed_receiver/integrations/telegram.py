"""Telegram: sendMessage of a bot."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationReply,
)

SENT = '{"ok": true, "result": {"message_id": 1, "date": 0, "chat": {"id": 1, "type": "private"}}}'


@INTEGRATIONS.register
class Telegram(Integration):
    """``telegram_configs``."""

    kind = "telegram"
    secrets = frozenset({"bot_token", "bot_token_file", "chat_id_file", "api_url"})
    unread = frozenset(
        {"chat_id", "parse_mode", "disable_web_page_preview", "message_thread_id"}
        | {"disable_notification", "link_preview_options"}
    )
    answer = IntegrationReply(SENT)

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        del shared
        return {"bot_token": DUMMY, "api_url": url, "chat_id": config.get("chat_id") or 1}
