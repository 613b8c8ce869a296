"""incident.io: as a webhook, with a token."""

from __future__ import annotations

from testbed_receiver.integrations.base import DUMMY, INTEGRATIONS, URL, keys
from testbed_receiver.integrations.webhook import Webhook


@INTEGRATIONS.register
class IncidentIo(Webhook):
    """``incidentio_configs``."""

    kind = "incidentio"
    secrets = frozenset({"url", "url_file", "alert_source_token", "alert_source_token_file"})
    pointed = keys(url=URL, alert_source_token=DUMMY)
