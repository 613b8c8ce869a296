"""Microsoft Teams: cards of its connectors (``msteams``) and of its workflows (``msteamsv2``)."""

from __future__ import annotations

from testbed_receiver.integrations.base import INTEGRATIONS, IntegrationReply
from testbed_receiver.integrations.discord import WebhookUrl


@INTEGRATIONS.register
class Teams(WebhookUrl):
    """``msteams_configs``."""

    kind = "msteams"
    unread = frozenset({"@context", "@type", "type", "themeColor"})
    # Connectors answer so.
    answer = IntegrationReply("1", "text/plain")


@INTEGRATIONS.register
class TeamsWorkflow(WebhookUrl):
    """``msteamsv2_configs``."""

    kind = "msteamsv2"
    unread = frozenset(
        {"$schema", "type", "version", "contentType", "msteams"}
        | {"weight", "size", "style", "color"}
    )
    # Workflows accept, and run later.
    answer = IntegrationReply("", "text/plain", status=202)
