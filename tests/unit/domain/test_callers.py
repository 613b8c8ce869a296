"""Which requests a page of another site may have sent."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from testbed_domain.callerguard import CallerGuard
from testbed_domain.callers import Caller, names_of, refusal

NAMES = names_of("api, Ml-API.internal")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:9464", "127.0.0.1", "[::1]:9464", "192.168.1.9:9464", "localhost:9464",
        "LOCALHOST", "api:9464", "API", "ml-api.internal.:9464",
    ],
)  # fmt: skip
def test_addresses_and_configured_names_are_served(host: str) -> None:
    """Nobody can point one of these at this machine."""
    assert refusal(Caller("PUT", (host,)), NAMES, "X") is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:9464", "127.0.0.1.evil.example", "api.evil.example",
        "localhost.evil.example:9464", "", "a b", "[::1", "127.0.0.1@evil.example", "2130706433",
        "127.0.0.1:port",
    ],
)  # fmt: skip
def test_a_rebound_name_is_misdirected(host: str) -> None:
    """A site that points its name here sends that name."""
    found = refusal(Caller("GET", (host,)), NAMES, "SOME_SETTING")
    assert found is not None
    assert (found.status, "SOME_SETTING" in found.detail) == (421, True)


def test_two_hosts_are_never_right() -> None:
    """One of them might be for somebody else on the way."""
    assert refusal(Caller("GET", ("127.0.0.1", "127.0.0.1")), NAMES, "X") is not None


@pytest.mark.parametrize(
    ("origin", "served"),
    [
        ("http://127.0.0.1:9464", True),
        ("https://127.0.0.1:9464", True),
        ("http://127.0.0.1", False),
        ("http://localhost:9464", False),
        ("http://127.0.0.1:8000", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
        ("file://", False),
        ("http://[", False),
    ],
)
def test_an_origin_must_be_the_port_itself(origin: str, *, served: bool) -> None:
    """Another port of this machine is another site, too."""
    caller = Caller("POST", ("127.0.0.1:9464",), (origin,))
    assert (refusal(caller, NAMES, "X") is None) is served


@pytest.mark.parametrize(
    ("method", "site", "mode", "served"),
    [
        ("GET", "cross-site", "no-cors", False),
        ("GET", "same-site", "no-cors", False),
        ("POST", "cross-site", "navigate", False),
        ("GET", "cross-site", "navigate", True),
        ("GET", "same-origin", "cors", True),
        ("POST", "same-origin", "cors", True),
        ("GET", "none", "navigate", True),
        ("POST", "", "", True),
    ],
)
def test_fetch_metadata_says_who_asks(method: str, site: str, mode: str, *, served: bool) -> None:
    """A page may link here, and no more; programs that are no browser send nothing of it."""
    caller = Caller(method, ("127.0.0.1",), (), site, mode)
    assert (refusal(caller, NAMES, "X") is None) is served


def _ask(
    headers: list[tuple[bytes, bytes]], method: str = "POST"
) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of an answer behind the guard."""
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        await send({"type": "http.response.start", "status": 204, "headers": [(b"x-a", b"old")]})
        await send({"type": "http.response.body"})

    async def receive() -> Any:  # noqa: ANN401 - ASGI
        raise AssertionError("a refused body is not read")

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    guard = CallerGuard(app, NAMES, "X", [("x-a", "new")])
    scope = {"type": "http", "method": method, "headers": headers}
    asyncio.run(guard(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def test_the_guard_serves_refuses_and_adds_headers() -> None:
    """What is refused never reaches the application; every answer bears the guard's headers."""
    assert _ask([(b"host", b"localhost:1")]) == (204, {b"x-a": b"new"})
    assert _ask([(b"host", b"evil.example")])[0] == 421
    crossed = [(b"Host", b"localhost:1"), (b"Origin", b"https://evil.example")]
    assert _ask(crossed)[0] == 403
