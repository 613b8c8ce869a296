"""Choosing loopback ports: the usual one where it is free, else one that nothing else will take."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HOST: Final = "127.0.0.1"
#: Substitutes lie below the range from which the kernel serves outgoing connections, so that none
#: of the many that a load opens takes the port between this choice and the component's own bind.
LOWEST: Final = 15000
EPHEMERAL_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
USUAL_EPHEMERAL: Final = 32768
ATTEMPTS: Final = 200


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: connections that linger from an earlier one are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


class PortClaims:
    """Ports that this process has promised to its components.

    Between the choice of a port and the component's own bind, and while a component restarts, the
    port looks free. Two testbeds that start at once would choose the same ports, and one would send
    its telemetry to the other. So each port that is chosen is claimed by an abstract socket: seen
    by every user of this network namespace, as the port is, and gone with this process.
    """

    def __init__(self) -> None:
        self._held: dict[int, socket.socket] = {}

    def take(self, port: int) -> bool:
        """Claim a port; False when a testbed has it already."""
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0ml-observability-testbed-port-{port}")
        except OSError as error:
            claim.close()
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        self._held[port] = claim
        return True

    def release(self, *ports: int) -> None:
        """Give up claims; all of them when no port is named."""
        for port in ports or tuple(self._held):
            self._held.pop(port).close()


def free_port(preferred: int, claims: PortClaims, rng: random.Random | None = None) -> int:
    """Choose a port and claim it.

    Args:
        preferred: the usual port; 0 for none.
        claims: gets the claim.
        rng: draws substitutes; by default one of its own, so that two testbeds differ.

    Raises:
        StackError: no port is free.
    """
    draw = rng or random.Random()  # noqa: S311 - no secret
    highest = max(_first_ephemeral(), LOWEST + 1000)
    substitutes = (draw.randrange(LOWEST, highest) for _ in range(ATTEMPTS))
    for port in (preferred, *substitutes):
        if port and claims.take(port):
            if is_free(port):
                return port
            claims.release(port)
    raise StackError(f"no free port between {LOWEST} and {highest}; end what holds them")


def allocate(
    preferred: Mapping[str, int], claims: PortClaims, rng: random.Random | None = None
) -> dict[str, int]:
    """Choose a port for each name, given its usual one (0 for none); all differ.

    Raises:
        StackError: no port is free.
    """
    return {name: free_port(port, claims, rng) for name, port in preferred.items()}


def allocate_row(
    names: Sequence[str], preferred: int, claims: PortClaims, rng: random.Random | None = None
) -> dict[str, int]:
    """Choose ports that follow one another, the first for the first name.

    Args:
        names: what needs them.
        preferred: the usual port of the first.
        claims: gets the claims.
        rng: as in :func:`free_port`.

    Raises:
        StackError: there is no such row.
    """
    for attempt in range(ATTEMPTS):
        first = free_port(0 if attempt else preferred, claims, rng)
        taken = [first]
        while len(taken) < len(names) and claims.take(taken[-1] + 1):
            taken.append(taken[-1] + 1)
        if len(taken) == len(names) and all(map(is_free, taken[1:])):
            return dict(zip(names, taken, strict=True))
        claims.release(*taken)
    raise StackError(f"no {len(names)} free ports in a row; end what holds them")


def _first_ephemeral() -> int:
    try:
        return int(EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return USUAL_EPHEMERAL
