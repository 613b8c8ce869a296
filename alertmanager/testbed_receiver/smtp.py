"""The receiver's SMTP side: takes every mail, and knows whose it is by the client's hello."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiosmtpd.smtp import SMTP, Envelope, Session

from testbed_receiver.guard import BODY_LIMIT
from testbed_receiver.integrations import IntegrationRequest
from testbed_receiver.messages import Place, message
from testbed_receiver.record import PayloadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from testbed_receiver.messages import MessageRecorder


class MailHandler:
    """Records what comes.

    Args:
        recorder: where messages go.
        clock: Unix time in seconds.
    """

    def __init__(self, recorder: MessageRecorder, clock: Callable[[], float]) -> None:
        self._recorder = recorder
        self._clock = clock

    async def handle_DATA(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """Take a mail, or say why not."""
        content = envelope.content
        data = content if isinstance(content, bytes) else str(content or "").encode()
        try:
            place, _ = Place.parse(session.host_name or "")
            found, _ = message(place, IntegrationRequest("SMTP", "", data), self._clock())
            if found is not None:
                self._recorder.add(found)
        except PayloadError as error:
            return f"550 {error}"
        except OSError as error:
            return f"451 cannot record, try again: {error}"
        return "250 OK"


@asynccontextmanager
async def mail_server(handler: MailHandler, host: str, port: int) -> AsyncIterator[None]:
    """Serve SMTP while the context lasts.

    Raises:
        OSError: the port can't be had.
    """
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(handler, hostname="testbed", data_size_limit=BODY_LIMIT, loop=loop), host, port
    )
    try:
        yield
    finally:
        server.close()
