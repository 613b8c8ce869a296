"""The fast path answers as the framework does, and leaves it what it can't."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import APIRouter
from starlette.responses import Response
from testbed_api.http.app import create_app, public_routes
from testbed_api.http.fastpath import FastPath
from testbed_api.http.guard import Guard
from testbed_api.http.keys import KeyRing, digest, new_key, read_keys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fastapi import Request
    from starlette.types import ASGIApp, Receive, Scope, Send

    from .conftest import Api

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
GOOD = b'{"Pregnancies": 6, "BMI (kg/m\xc2\xb2)": 33.6, "schema": 1.5, "Fare": null}'
# Differs from request to request.
OWN = ("traceresponse", "prediction_id")


async def _chunks() -> AsyncIterator[bytes]:
    yield GOOD[:10]
    yield GOOD[10:]


async def _too_many_chunks() -> AsyncIterator[bytes]:
    for _ in range(1000):
        yield b" " * 1000


REQUESTS: dict[str, dict[str, Any]] = {
    "good": {"content": GOOD, "headers": JSON},
    "charset": {"content": GOOD, "headers": {"CONTENT-TYPE": "application/json; charset=utf-8"}},
    "request id": {"content": GOOD, "headers": JSON | {"X-Request-ID": "abc-1"}},
    "odd request id": {"content": GOOD, "headers": JSON | {"X-Request-ID": "a" * 65}},
    "timeout": {"content": GOOD, "headers": JSON | {"X-Timeout-Ms": "500"}},
    "wrong timeout": {"content": GOOD, "headers": JSON | {"X-Timeout-Ms": "-1"}},
    "form": {"content": GOOD, "headers": {"Content-Type": "text/plain"}},
    "not JSON": {"content": b"{", "headers": JSON},
    "nothing": {"content": b"", "headers": JSON},
    "wrong field": {"content": b'{"Pregnancies": "x"}', "headers": JSON},
    "surrogate": {"content": b'{"Pregnancies": "\\ud800"}', "headers": JSON},
    "in chunks": {"content": _chunks, "headers": JSON},
    "in parts": {"content": _chunks, "headers": JSON | {"Content-Length": str(len(GOOD))}},
    "too large": {"content": b" " * 1_000_000, "headers": JSON},
    "too large in chunks": {"content": _too_many_chunks, "headers": JSON},
    "wrong method": {"method": "GET"},
    "wrong length": {"content": GOOD, "headers": {"Content-Length": b"\xb2"}},
    "labels": {
        "path": "/labels",
        "json": {"labels": [{"prediction_id": "a", "label": 1}]},
    },
    "wrong labels": {"path": "/labels", "json": {"labels": 1}},
    "unknown path": {"path": "/predictions", "content": GOOD},
    "slash": {"path": "/predict/", "content": GOOD},
}


def _framework(api: Api, guard: Guard | None = None) -> ASGIApp:
    """The application without the fast path and without telemetry."""
    return public_routes(api.settings, api.service, api.telemetry, guard)


def _client(app: ASGIApp, *, raising: bool = False) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, raise_app_exceptions=raising)
    return httpx.AsyncClient(transport=transport, base_url="http://api")


async def _answer(app: ASGIApp, request: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    """Status, headers and body of the reply, without what is always new."""
    rest = dict(request)
    method, path = rest.pop("method", "POST"), rest.pop("path", "/predict")
    if callable(rest.get("content")):
        rest["content"] = rest["content"]()
    async with _client(app) as client:
        reply = await client.request(method, path, **rest)
    headers = {name: value for name, value in reply.headers.items() if name not in OWN}
    body: Any = reply.text
    if headers.get("content-type") == "application/json":
        body = reply.json()
        if "prediction_id" in body:
            body["prediction_id"] = len(body["prediction_id"])
            headers.pop("content-length")  # Starlette writes JSON as orjson does, all but floats
    return reply.status_code, headers, body


@pytest.mark.parametrize("name", REQUESTS)
async def test_both_ways_give_the_same_answer(api: Api, name: str) -> None:
    """Whatever comes, the reply is the same as through all of the framework."""
    framework = _framework(api)
    short = await _answer(api.app, REQUESTS[name])
    assert short == await _answer(framework, REQUESTS[name])
    assert short[0] == {
        "form": 415,
        "too large": 413,
        "too large in chunks": 413,
        "wrong method": 405,
        "unknown path": 404,
        "slash": 404,
    }.get(name, 422 if name in REFUSED else 200)


REFUSED = (
    "wrong timeout", "not JSON", "nothing", "wrong field", "surrogate", "wrong labels"
)  # fmt: skip


async def test_both_ways_fail_alike(api: Api) -> None:
    """An injected failure and a broken model give the same answers, counted once each."""
    framework = _framework(api)
    api.runtime.predict_error = ValueError("broken")
    short = await _answer(api.app, REQUESTS["good"])
    assert short == await _answer(framework, REQUESTS["good"])
    assert (short[0], api.errors("model")) == (500, 2)


async def test_a_bug_is_reported_and_shown(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody foresaw is a plain 500 for the client; the server gets the exception."""

    async def bug(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(type(api.service), "predict", bug)
    framework = _framework(api)
    short = await _answer(api.app, REQUESTS["good"])
    assert short == await _answer(framework, REQUESTS["good"])
    assert (short[0], short[2]) == (500, "Internal Server Error")
    async with _client(api.app, raising=True) as client:
        with pytest.raises(ZeroDivisionError):
            await client.post("/predict", json=api.row)


async def test_client_that_leaves_in_its_body_is_counted(api: Api) -> None:
    """A body that ends too early is nobody's prediction."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:  # noqa: ANN401 - any message
        sent.append(message)

    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": "/predict", "query_string": b"", "headers": [(b"content-length", b"9")],
    }  # fmt: skip
    await api.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert api.errors("other") == 1


async def test_keys_are_asked_for_on_both_ways(api: Api, tmp_path: Path) -> None:
    """Without a known key both refuse, and beyond its limit both refuse."""
    key = new_key()
    file = tmp_path / "keys"
    file.write_text(f"one {digest(key)} 1 2")
    ring: KeyRing = read_keys(file, lambda: 0.0)
    app = create_app(api.settings, api.service, api.telemetry, ring)
    framework = _framework(api, Guard(ring, api.service.instruments))
    good = REQUESTS["good"]
    known = good | {"headers": JSON | {"X-API-Key": key}}
    for request, status in ((good, 401), (known, 200), (known, 429)):
        short = await _answer(app, request)
        assert short[0] == status
        if status != 200:
            assert short == await _answer(framework, request)
        else:
            assert (await _answer(framework, request))[0] == status


async def test_what_is_unusual_is_passed_on() -> None:
    """The fast path takes its own routes, within its limit, and nothing else."""

    async def unused(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise AssertionError

    async def echo(request: Request) -> Response:
        return Response(await request.body())

    fastpath = FastPath(unused, {"/echo": echo}, limit=5)
    async with _client(fastpath, raising=True) as client:
        assert (await client.post("/echo", content=b"short")).content == b"short"
        for method, path, body in (
            ("GET", "/echo", b"x"),
            ("POST", "/", b""),
            ("POST", "/echo", b"longer"),
        ):
            with pytest.raises(AssertionError):
                await client.request(method, path, content=body)


async def test_untraced_predictions_go_the_short_way(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The application as it is made doesn't route a plain prediction, and routes all others."""
    routed: list[str] = []
    route = APIRouter.__call__

    async def noted(self: APIRouter, scope: Scope, receive: Receive, send: Send) -> None:
        routed.append(scope["path"])
        await route(self, scope, receive, send)

    monkeypatch.setattr(APIRouter, "__call__", noted)
    app = create_app(api.settings, api.service, api.telemetry)
    async with _client(app) as client:
        for path in ("/predict", "/labels", "/predict/batch", "/"):
            await client.post(path, json=api.row)
    assert routed == ["/predict/batch", "/"]
