"""E-mail: over SMTP, where the receiver's name is what Alertmanager says hello with."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Final

from testbed_receiver.integrations.base import (
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationRequest,
    RenderedText,
)

_THREAD: Final = re.compile(r"<alert-([0-9a-f]{16})-")
_HEADERS: Final = ("subject", "from", "to", "cc", "reply-to")
_OWN_THREADS: Final = {"references", "in-reply-to"}


@INTEGRATIONS.register
class Email(Integration):
    """``email_configs``."""

    kind = "email"
    resolves = False
    secrets = frozenset(
        {
            "smarthost",
            "hello",
            "require_tls",
            "force_implicit_tls",
            "auth_username",
            "auth_identity",
        }
        | {"auth_password", "auth_password_file", "auth_secret", "auth_secret_file"}
    )

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """Threads, where its user has none of them, say which group a mail is of."""
        del shared
        host, _, hello = url.partition("/")
        own = {"smarthost": host, "hello": hello, "require_tls": False, "force_implicit_tls": False}
        headers = {str(name).lower() for name in config.get("headers") or {}}
        threads = (config.get("threading") or {}).get("enabled")
        if not threads and not headers & _OWN_THREADS:
            own["threading"] = {"enabled": True, "thread_by_date": "none"}
        return own

    def read(self, request: IntegrationRequest) -> RenderedText | None:
        """Headers that people see, and each body: the plain one and the HTML."""
        mail = message_from_bytes(request.body, policy=policy.default)
        if not isinstance(mail, EmailMessage):
            raise TypeError("not a mail")
        lines = [str(mail[name]) for name in _HEADERS if mail[name]]
        bodies = (each for each in mail.walk() if each.get_content_maintype() == "text")
        lines += [str(each.get_content()) for each in bodies]
        thread = _THREAD.search(str(mail["references"] or ""))
        return RenderedText("\n".join(lines), group=thread[1] if thread else "")
