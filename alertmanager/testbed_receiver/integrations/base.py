"""What an integration of Alertmanager is here: its address, its requests, its answers.

One class per integration says how its configuration is pointed at this receiver, what its requests
say and what it wants answered. :data:`INTEGRATIONS` finds the classes by this folder, or by the
entry points ``testbed.receivers`` of installed packages.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal

from testbed_domain.registry import Registry

IntegrationConfig = dict[str, Any]
"""An entry of a receiver's ``*_configs``."""

DUMMY: Final = "testbed"
"""In place of every secret: nothing here asks for one."""

URL: Final = "{url}"
"""In a text of :attr:`Integration.pointed`: what all requests must begin with."""

EVERY_SECRET: Final = frozenset({"http_config", "tls_config"})
"""Keys of any integration that name certificates, credentials, headers and proxies."""


@dataclass(frozen=True, slots=True)
class IntegrationRequest:
    """A request that Alertmanager sent to the address of an integration.

    Attributes:
        method: of HTTP; ``SMTP`` of a mail.
        path: what it added to the address, without slashes around it.
        body: as it came.
        query: parameters of the URL.
    """

    method: str
    path: str
    body: bytes
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> Any:  # noqa: ANN401 - whatever JSON holds
        """The body as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class RenderedText:
    """What one notification says.

    Attributes:
        text: all that was rendered, a line for each field.
        status: whether it says that alerts fire or that all are over; empty where it doesn't.
        group: SHA-256 of the key of its group, or the beginning of it; empty where it has none.
    """

    text: str
    status: Literal["firing", "resolved", ""] = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class IntegrationReply:
    """An answer over HTTP."""

    body: str
    media_type: str = "application/json"
    status: int = 200


class Integration:
    """Base of the integrations: a service that takes JSON at one address, and answers anything.

    A kind adds ``kind``, its ``secrets`` and where it is ``pointed``; what of it no constant says,
    it does in place of a method.
    """

    kind: ClassVar[str]
    """As in ``<kind>_configs`` and in Alertmanager's own metrics."""

    resolves: ClassVar[bool] = True
    """Alertmanager's default of ``send_resolved``."""

    speaks_each_time: ClassVar[bool] = True
    """Whether each notification brings a text."""

    secrets: ClassVar[frozenset[str]] = frozenset()
    """Keys that say where and as whom it sends: dropped, unless :meth:`address` sets them."""

    pointed: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """The keys that point it at this receiver; :data:`URL` in a text stands for the address."""

    unread: ClassVar[frozenset[str]] = frozenset()
    """Keys of a request, at any depth, that nobody reads."""

    over: ClassVar[tuple[str, str] | None] = None
    """Key of a request, and what it holds when all alerts are over; None where none says so."""

    grouped: ClassVar[str] = ""
    """Key of a request that holds the group, see :class:`RenderedText`; empty: none does."""

    answer: ClassVar[IntegrationReply] = IntegrationReply("{}")
    """What Alertmanager takes for success."""

    def problem(self, config: IntegrationConfig) -> str:
        """Why it can't be pointed at another address; empty where it can."""
        del config
        return ""

    def address(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """The keys that point it at this receiver.

        Args:
            config: as its user wrote it.
            shared: ``global`` of the same file.
            url: what all its requests must begin with; of a mail ``host:port/hello``.
        """
        del config, shared
        return {
            key: value.replace(URL, url) if isinstance(value, str) else value
            for key, value in self.pointed.items()
        }

    def redirected(
        self, config: IntegrationConfig, shared: IntegrationConfig, url: str
    ) -> IntegrationConfig:
        """Its configuration, pointed at this receiver and without secrets; see :meth:`address`."""
        dropped = self.secrets | EVERY_SECRET
        plain = {key: value for key, value in config.items() if key not in dropped}
        return plain | self.address(config, shared, url)

    def read(self, request: IntegrationRequest) -> RenderedText | None:
        """What a request says; None of one that only asks, or says the same again.

        Raises:
            ValueError: it is not a request of this integration; or another error of reading one.
        """
        document = request.document
        if not isinstance(document, dict):
            raise TypeError("the body holds no JSON object")
        return RenderedText(
            "\n".join(texts(document, self.unread)), self.status(document), self.group(document)
        )

    def status(self, document: IntegrationConfig) -> Literal["firing", "resolved", ""]:
        """Of a body in JSON, see :class:`RenderedText`."""
        if self.over is None:
            return ""
        key, value = self.over
        return "resolved" if document[key] == value else "firing"

    def group(self, document: IntegrationConfig) -> str:
        """Of a body in JSON, see :class:`RenderedText`."""
        return str(document[self.grouped]) if self.grouped else ""

    def reply(self, request: IntegrationRequest) -> IntegrationReply:
        """What it answers to one of its requests: :attr:`answer`, whatever was asked."""
        del request
        return self.answer


def _kind(integration: type[Integration]) -> str:
    return integration.kind


INTEGRATIONS: Final[Registry[type[Integration]]] = Registry(
    "testbed.receivers", "testbed_receiver.integrations", _kind
)
"""Every integration by its kind."""


def texts(node: object, unread: frozenset[str] = frozenset()) -> Iterator[str]:
    """The texts and numbers of a JSON document, in its order, without those below some keys."""
    match node:
        case dict():
            for key, value in node.items():
                if key not in unread:
                    yield from texts(value, unread)
        case list():
            for value in node:
                yield from texts(value, unread)
        case bool() | None:
            return
        case _:
            if text := str(node).strip():
                yield text


def keys(**given: object) -> Mapping[str, Any]:
    """Keys for :attr:`Integration.pointed`, which nobody can change."""
    return MappingProxyType(given)


def key_hash(group_key: str) -> str:
    """A group's key as Alertmanager gives it to services that must know a group again."""
    return hashlib.sha256(group_key.encode()).hexdigest()
