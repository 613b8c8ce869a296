"""incident.io: as a webhook, with a token."""

from __future__ import annotations

from testbed_receiver.integrations.base import DUMMY, INTEGRATIONS, IntegrationConfig
from testbed_receiver.integrations.webhook import Webhook


@INTEGRATIONS.register
class IncidentIo(Webhook):
    """``incidentio_configs``."""

    kind = "incidentio"
    secrets = frozenset({"url", "url_file", "alert_source_token", "alert_source_token_file"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        return super().address(config, shared, url) | {"alert_source_token": DUMMY}
