"""Loopback ports for what a test starts."""

from __future__ import annotations

from collections import deque
from typing import Final

from testbed.stack import ports

#: Claims are files of this process: as many of the last ports stay claimed.
KEPT: Final = 200

_claims: Final = ports.PortClaims()
_claimed: Final[deque[int]] = deque()


def free_port() -> int:
    """Give a TCP port that nothing listens on, and that no outgoing connection takes meanwhile."""
    return _keep(ports.free_port(0, _claims))[0]


def ports_in_a_row(count: int) -> int:
    """Give the first of some ports that follow one another, each as of :func:`free_port`."""
    names = [str(number) for number in range(count)]
    return _keep(*ports.allocate_row(names, 0, _claims).values())[0]


def _keep(*chosen: int) -> tuple[int, ...]:
    _claimed.extend(chosen)
    while len(_claimed) > KEPT:
        _claims.release(_claimed.popleft())
    return chosen
