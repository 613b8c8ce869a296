"""Amazon SNS: Publish, as a form."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationReply,
    IntegrationRequest,
    RenderedText,
)

REGION: Final = "us-east-1"
PUBLISHED: Final = (
    '<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    "<MessageId>1</MessageId></PublishResult><ResponseMetadata><RequestId>1</RequestId>"
    "</ResponseMetadata></PublishResponse>"
)


@INTEGRATIONS.register
class Sns(Integration):
    """``sns_configs``."""

    kind = "sns"
    secrets = frozenset({"api_url", "sigv4"})
    answer = IntegrationReply(PUBLISHED, "text/xml")

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """Requests are signed, with keys that open nothing; no role is assumed."""
        del shared
        region = (config.get("sigv4") or {}).get("region") or REGION
        sigv4 = {"region": region, "access_key": DUMMY, "secret_key": DUMMY}
        return {"api_url": url, "sigv4": sigv4}

    def read(self, request: IntegrationRequest) -> RenderedText | None:
        """See the base."""
        form = parse_qs(request.body.decode(), keep_blank_values=True)
        if "Message" not in form:
            raise ValueError("the form has no Message")
        return RenderedText("\n".join((*form.get("Subject", ()), *form["Message"])))
