"""VictorOps, now Splunk On-Call: its REST endpoint."""

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
class VictorOps(Integration):
    """``victorops_configs``."""

    kind = "victorops"
    secrets = frozenset({"api_key", "api_key_file", "api_url"})
    pointed = keys(api_key=DUMMY, api_url=f"{URL}/")
    unread = frozenset({"entity_id"})
    over = ("message_type", "RECOVERY")
    grouped = "entity_id"
    answer = IntegrationReply('{"result": "success"}')
