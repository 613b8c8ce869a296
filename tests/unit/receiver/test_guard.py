"""What stands before the receiver, and its page in a real browser."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed_receiver.app import create_app
from testbed_receiver.guard import PostGuard, PostLimits, guarded
from testbed_receiver.record import NotificationRecorder

from tests.browser import EVERYTHING, visit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

URL = "http://127.0.0.1:9080"


def _webhook(text: str) -> dict[str, Any]:
    """A webhook with a text wherever one can be."""
    alert = {
        "status": "firing",
        "labels": {"alertname": text, "severity": text, text: text},
        "annotations": {"summary": text, "description": text, text: text},
        "startsAt": "2023-11-14T22:13:10Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": text,
    }
    return {"version": "4", "groupKey": text, "receiver": text, "alerts": [alert]}


def _ask(app: Any, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 - ASGI, httpx
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=URL) as client:
            return await client.request(method, path, **more)

    return asyncio.run(send())


@pytest.mark.slow
def test_hostile_alerts_run_nothing(tmp_path: Path, program: Callable[..., str]) -> None:
    """Every label and annotation is shown as the text that it is."""
    with NotificationRecorder(tmp_path / "out.jsonl") as recorder:
        app = guarded(create_app(recorder, lambda: 0.0), PostLimits(), ())
        posted = _ask(app, "POST", "/notifications", json=_webhook(EVERYTHING))
        assert posted.status_code == 200
        reply = _ask(app, "GET", "/")
    path = tmp_path / "page.html"
    path.write_text(reply.text.replace('http-equiv="refresh"', ""), encoding="utf-8")
    page = visit(program("chromium", "google-chrome"), path.as_uri(), tmp_path / "profile")
    assert not page.attacked
    assert "&lt;/script&gt;" in page.dom
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_posts_of_other_sites_and_large_ones_are_refused(tmp_path: Path) -> None:
    """Nothing of them is recorded; a body whose length is not stated is counted as it comes."""

    async def parts() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 100

    with NotificationRecorder(tmp_path / "out.jsonl") as recorder:
        app = guarded(create_app(recorder, lambda: 0.0), PostLimits(size=1000), {"receiver"})
        good = _webhook("x")
        assert len(json.dumps(good)) < 1000
        path = "/notifications"
        for headers, status in (
            ({"Origin": "https://evil.example"}, 403),
            ({"Host": "evil.example"}, 421),
            ({"Host": "receiver:9080"}, 200),
        ):
            assert _ask(app, "POST", path, json=good, headers=headers).status_code == status
        assert _ask(app, "POST", path, content=b" " * 1001).status_code == 413
        assert _ask(app, "POST", path, content=parts()).status_code == 413
        assert _ask(app, "POST", path, headers={"Content-Length": "-1"}).status_code == 413
        assert len(recorder.recent) == 1


def test_a_secret_is_asked_of_posts_only(tmp_path: Path) -> None:
    """The page and the probe need none."""
    with NotificationRecorder(tmp_path / "out.jsonl") as recorder:
        app = guarded(create_app(recorder, lambda: 0.0), PostLimits(secret="correct"), ())  # noqa: S106 - a test's
        for authorization, status in (
            ("", 401), ("Bearer wrong", 401), ("Basic correct", 401), ("correct", 401),
            ("Bearer correct", 200), ("bearer correct", 200),
        ):  # fmt: skip
            headers = {"Authorization": authorization}
            reply = _ask(app, "POST", "/notifications", json=_webhook("x"), headers=headers)
            assert reply.status_code == status
            assert "correct" not in reply.text
        assert _ask(app, "GET", "/health/ready").status_code == 200


@pytest.mark.parametrize("leaves", [True, False])
def test_a_body_that_never_comes_ends(*, leaves: bool) -> None:
    """One that is too slow gets 408; one whose client has gone gets nothing."""
    sent: list[Any] = []

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:  # noqa: ANN401 - ASGI
        raise AssertionError("half a body reached the application")

    async def receive() -> Any:  # noqa: ANN401 - ASGI
        if leaves:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        return None

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI
        sent.append(message)

    scope = {"type": "http", "method": "POST", "headers": []}
    asyncio.run(PostGuard(app, PostLimits(seconds=0.01))(scope, receive, send))
    assert [message.get("status") for message in sent[:1]] == ([] if leaves else [408])
