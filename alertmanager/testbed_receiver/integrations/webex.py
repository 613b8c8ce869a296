"""Webex: messages of a bot."""

from __future__ import annotations

from testbed_receiver.integrations.base import DUMMY, INTEGRATIONS, URL, Integration, keys


@INTEGRATIONS.register
class Webex(Integration):
    """``webex_configs``."""

    kind = "webex"
    secrets = frozenset({"api_url"})
    # Alertmanager wants credentials of it, and nowhere else than here.
    pointed = keys(api_url=URL, http_config={"authorization": {"credentials": DUMMY}})
    unread = frozenset({"roomId"})
