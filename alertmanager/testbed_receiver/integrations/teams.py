"""Microsoft Teams: cards of its connectors (``msteams``) and of its workflows (``msteamsv2``)."""

from __future__ import annotations

from testbed_receiver.integrations.base import INTEGRATIONS, IntegrationReply, IntegrationRequest
from testbed_receiver.integrations.discord import WebhookUrl


@INTEGRATIONS.register
class Teams(WebhookUrl):
    """``msteams_configs``."""

    kind = "msteams"
    unread = frozenset({"@context", "@type", "type", "themeColor"})

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """Connectors answer so."""
        del request
        return IntegrationReply("1", "text/plain")


@INTEGRATIONS.register
class TeamsWorkflow(WebhookUrl):
    """``msteamsv2_configs``."""

    kind = "msteamsv2"
    unread = frozenset(
        {"$schema", "type", "version", "contentType", "msteams"}
        | {"weight", "size", "style", "color"}
    )

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """Workflows accept, and run later."""
        del request
        return IntegrationReply("", "text/plain", status=202)
