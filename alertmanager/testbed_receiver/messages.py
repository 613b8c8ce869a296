"""What integrations brought: a line for each message, and where each integration is reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from testbed_receiver.integrations import INTEGRATIONS, IntegrationRequest
from testbed_receiver.record import LineRecorder, PayloadError

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_receiver.integrations import IntegrationReply

PREFIX: Final = "/receivers"
"""Path below which every integration has its own."""

TEXT_LIMIT: Final = 64 * 1024
"""Characters of a text that are stored."""

_SAFE: Final = re.compile(rb"[^A-Za-z0-9_.-]")
_ESCAPED: Final = re.compile(rb"~([0-9A-F]{2})")


class Message(BaseModel):
    """One message of one integration: a line of ``messages.jsonl``. Times are Unix seconds."""

    model_config = ConfigDict(frozen=True)

    received_at: float
    receiver: str = Field(description="As Alertmanager's configuration names it.")
    integration: str
    index: int = Field(description="Among the receiver's integrations of this kind, from 0.")
    text: str = Field(description="All that was rendered.")
    status: Literal["firing", "resolved", ""] = ""
    group: str = Field("", description="Hash of the group's key, or the beginning of it.")
    trace: str = Field("", description="Id of the trace of the flush that it is of.")


@dataclass(frozen=True, slots=True)
class Place:
    """One integration of one receiver; ``index`` is its number among those of its kind."""

    receiver: str
    integration: str
    index: int

    def __str__(self) -> str:
        """As a path without a slash before it; every receiver's name has one."""
        name = _SAFE.sub(lambda found: b"~%02X" % found[0][0], self.receiver.encode()).decode()
        return f"{name}/{self.integration}/{self.index}"

    @classmethod
    def parse(cls, path: str) -> tuple[Place, str]:
        """The place, and what follows behind it.

        Raises:
            PayloadError: it names none.
        """
        name, integration, index, *rest = (*path.strip("/").split("/"), "", "")
        if integration not in INTEGRATIONS or not index.isdecimal():
            raise PayloadError(f"{path!r} is not the address of an integration")
        receiver = _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]), name.encode())
        return cls(receiver.decode(), integration, int(index)), "/".join(rest).strip("/")


def message(
    place: Place, request: IntegrationRequest, received_at: float, trace: str = ""
) -> tuple[Message | None, IntegrationReply]:
    """What a request says, and what is answered.

    Raises:
        PayloadError: it is not a request of this integration.
    """
    integration = INTEGRATIONS[place.integration]()
    try:
        rendered = integration.read(request)
        reply = integration.reply(request)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise PayloadError(f"not a request of {place.integration}: {error!r}") from error
    if rendered is None:
        return None, reply
    found = Message(
        received_at=received_at,
        receiver=place.receiver,
        integration=place.integration,
        index=place.index,
        text=rendered.text[:TEXT_LIMIT],
        status=rendered.status,
        group=rendered.group,
        trace=trace,
    )
    return found, reply


def trace_of(header: str) -> str:
    """The trace id of a ``traceparent``; empty where there is none."""
    pieces = header.split("-")
    return pieces[1] if len(pieces) == 4 else ""  # noqa: PLR2004 - version, trace, span, flags


class MessageRecorder(LineRecorder[Message]):
    """Of ``messages.jsonl``; see the base."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, Message)
