"""Why a request failed, without what it held."""

from __future__ import annotations

import socket

import httpx
import pytest
from testbed.clients import loopback


def test_failure_of_a_request_shows_no_header() -> None:
    """The client's own words hold its value."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(httpx.LocalProtocolError, match="s3cret") as caught:
            loopback.get(url, timeout=1, headers={"X-Key": "s3cret "})
    assert "s3cret" not in loopback.reason(caught.value)
    assert loopback.reason(httpx.ConnectError("refused")) == "ConnectError: refused"
