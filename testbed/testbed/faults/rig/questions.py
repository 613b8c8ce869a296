"""What the runner asks over a link to see whether it is disturbed: in the words of who is asked.

A question has an answer wherever the link is sound, so that none shows what was done to it. Each is
filled up to the same size, so that a narrow link shows by the time that it takes.
"""

from __future__ import annotations

import struct
from typing import Final

from testbed.componentnames import DATABASE

FILLER: Final = 2048
"""Bytes that fill a question up."""

_HTTP: Final = b"GET / HTTP/1.1\r\nHost: testbed\r\nConnection: close\r\nX-Filler: %s\r\n\r\n"
_PROTOCOL: Final = 3 << 16
"""Version 3.0 of PostgreSQL's protocol."""


def question_for(component: str) -> bytes:
    """What a component answers on a connection on which nothing was said before.

    Args:
        component: which is asked; all but the database speak HTTP.
    """
    return _start_of_session() if component == DATABASE else _HTTP % (b"x" * FILLER)


def _start_of_session() -> bytes:
    """A start of a session with PostgreSQL, which it answers by asking who that is.

    It closes a connection on which anything else is said without any answer.
    """
    parameters = b"user\0testbed\0application_name\0%s\0\0" % (b"x" * FILLER)
    return struct.pack("!ii", 8 + len(parameters), _PROTOCOL) + parameters
