"""Opsgenie: alerts are created and closed by their alias; updates say the same again."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    URL,
    Integration,
    IntegrationReply,
    IntegrationRequest,
    RenderedText,
    keys,
    texts,
)


@INTEGRATIONS.register
class Opsgenie(Integration):
    """``opsgenie_configs``."""

    kind = "opsgenie"
    secrets = frozenset({"api_key", "api_key_file", "api_url"})
    pointed = keys(api_key=DUMMY, api_url=f"{URL}/")
    answer = IntegrationReply('{"result": "Request will be processed"}', status=202)

    def read(self, request: IntegrationRequest) -> RenderedText | None:
        """Paths are ``v2/alerts``, and below it ``ALIAS/close``, ``/message``, ``/description``."""
        document = request.document
        match request.path.split("/"):
            case ["v2", "alerts"]:
                text = "\n".join(texts(document, frozenset({"alias"})))
                return RenderedText(text, "firing", str(document["alias"]))
            case ["v2", "alerts", alias, "close"]:
                return RenderedText("\n".join(texts(document)), "resolved", alias)
            case ["v2", "alerts", _, "message" | "description"]:
                return None
            case _:
                raise ValueError(f"Opsgenie has no {request.path!r}")
