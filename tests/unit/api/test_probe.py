"""The supervisor's probe of a replica, on the management host that is configured."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from testbed_api.ops.replicas import Replica
from testbed_api.ops.sockets import reachable


class _Ready(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Be ready."""
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the base class
        """Say nothing."""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost"])
def test_probe_asks_the_configured_host(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not always 127.0.0.1, and not by a proxy of the environment."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with HTTPServer((host, 0), _Ready) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert Replica(0, server.server_port, host).probe()
        thread.join()
    assert not Replica(0, server.server_port, host).probe()


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("0.0.0.0", "http://127.0.0.1:9464"),  # noqa: S104 - nothing is bound
        ("::", "http://[::1]:9464"),
        ("::1", "http://[::1]:9464"),
        ("fe80::1", "http://[fe80::1]:9464"),
        ("127.0.0.3", "http://127.0.0.3:9464"),
        ("api.local", "http://api.local:9464"),
    ],
)
def test_any_address_is_reached_by_loopback(host: str, expected: str) -> None:
    """Others are reached as they are, IPv6 in brackets."""
    assert reachable(host, 9464) == expected
