"""Listening sockets: bound here, or inherited from the supervisor of replicas."""

from __future__ import annotations

import socket

from testbed_api.errors import SettingsError


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket bound to ``host`` and ``port``; 0 takes a free port.

    Raises:
        SettingsError: the address can't be used.
    """
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )
        family, kind, protocol, _, address = found[0]
        # With its protocol named: asyncio sets TCP_NODELAY only then.
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise SettingsError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    return bound


def inherited(descriptor: int) -> socket.socket:
    """The listening socket that the supervisor left open at a descriptor.

    Raises:
        SettingsError: there is none.
    """
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        raise SettingsError(
            f"TESTBED_API_SOCKET: descriptor {descriptor} is not a socket; the supervisor sets it"
        ) from None


def url(bound: socket.socket) -> str:
    """Base URL of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable(host: str, port: int) -> str:
    """Base URL by which this machine reaches what listens on a host: any address is loopback's."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - replaced
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
