"""Opsgenie: alerts are created and closed by their alias; updates say the same again."""

from __future__ import annotations

from testbed_receiver.integrations.base import (
    DUMMY,
    INTEGRATIONS,
    Integration,
    IntegrationConfig,
    IntegrationReply,
    IntegrationRequest,
    RenderedText,
    texts,
)


@INTEGRATIONS.register
class Opsgenie(Integration):
    """``opsgenie_configs``."""

    kind = "opsgenie"
    secrets = frozenset({"api_key", "api_key_file", "api_url"})

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """See the base."""
        del config, shared
        return {"api_key": DUMMY, "api_url": f"{url}/"}

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

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """See the base."""
        del request
        return IntegrationReply('{"result": "Request will be processed"}', status=202)
