"""WeChat Work: a token is fetched first, then each message sent with it."""

from __future__ import annotations

from typing import Final

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    URL,
    Integration,
    IntegrationReply,
    IntegrationRequest,
    RenderedText,
    keys,
    texts,
)

TOKEN: Final = "gettoken"  # noqa: S105 - a path


@INTEGRATIONS.register
class WeChat(Integration):
    """``wechat_configs``."""

    kind = "wechat"
    resolves = False
    secrets = frozenset({"api_secret", "api_secret_file", "corp_id", "api_url"})
    pointed = keys(api_secret=DUMMY, corp_id=DUMMY, api_url=f"{URL}/")

    def read(self, request: IntegrationRequest) -> RenderedText | None:
        """See the base."""
        if request.path == TOKEN:
            return None
        document = request.document
        return RenderedText("\n".join(texts([document.get("text"), document.get("markdown")])))

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """See the base."""
        if request.path == TOKEN:
            return IntegrationReply(f'{{"errcode": 0, "errmsg": "ok", "access_token": "{DUMMY}"}}')
        return IntegrationReply('{"errcode": 0, "errmsg": "ok"}')
