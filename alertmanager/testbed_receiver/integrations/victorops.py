"""VictorOps, now Splunk On-Call: its REST endpoint."""

from __future__ import annotations

from typing import Literal

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationReply,
    IntegrationRequest,
)


@INTEGRATIONS.register
class VictorOps(Integration):
    """``victorops_configs``."""

    kind = "victorops"
    secrets = frozenset({"api_key", "api_key_file", "api_url"})
    unread = frozenset({"entity_id"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        del config, shared
        return {"api_key": DUMMY, "api_url": f"{url}/"}

    def status(self, document: IntegrationConfig) -> Literal["firing", "resolved", ""]:
        """See the base."""
        return "resolved" if document["message_type"] == "RECOVERY" else "firing"

    def group(self, document: IntegrationConfig) -> str:
        """See the base."""
        return str(document["entity_id"])

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """See the base."""
        del request
        return IntegrationReply('{"result": "success"}')
