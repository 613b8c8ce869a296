"""Jira: Alertmanager looks for an open issue of the group, finds none here, and opens one."""

from __future__ import annotations

from typing import Final

from testbed_receiver.integrations.base import (
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationReply,
    IntegrationRequest,
    RenderedText,
    texts,
)

VERSION_3: Final = "/3"
"""End of the address of an API that takes descriptions as documents."""

_SEARCHES: Final = frozenset({"search", "search/jql"})


@INTEGRATIONS.register
class Jira(Integration):
    """``jira_configs``. An end of alerts changes an issue only, so nothing is said of it here."""

    kind = "jira"
    speaks_each_time = False
    secrets = frozenset({"api_url"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        given = str(config.get("api_url") or shared.get("jira_api_url") or "").rstrip("/")
        return {"api_url": f"{url}{VERSION_3 if given.endswith(VERSION_3) else ''}"}

    def read(self, request: IntegrationRequest) -> RenderedText | None:
        """See the base."""
        if _resource(request) in _SEARCHES:
            return None
        labels = request.document["fields"].get("labels") or ()
        groups = [label[6:-1] for label in labels if label.startswith("ALERT{")]
        text = "\n".join(texts(request.document["fields"]))
        return RenderedText(text, "firing", groups[0] if groups else "")

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """See the base."""
        if _resource(request) in _SEARCHES:
            return IntegrationReply('{"issues": []}')
        return IntegrationReply('{"id": "1", "key": "TESTBED-1"}', status=201)


def _resource(request: IntegrationRequest) -> str:
    return request.path.removeprefix("3/")
