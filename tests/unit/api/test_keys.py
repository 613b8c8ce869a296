"""API keys: kept hashed, limited each, counted by name."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed.cli import app as command_line
from testbed_api.errors import SettingsError
from testbed_api.http.app import create_app
from testbed_api.http.keys import KeyRing, TokenBucket, digest, new_key, read_keys
from testbed_api.serving.runtime import ModelError
from testbed_api.telemetry.instruments import Instruments
from typer.testing import CliRunner

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Api, ApiMaker


def test_bucket_lets_the_burst_through_and_then_the_rate() -> None:
    """Tokens come back with time, never more than the burst, and the wait is reported."""
    bucket = TokenBucket(rate=2.0, burst=3.0)
    assert [bucket.take(0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert bucket.take(0.5) == 0.0
    assert bucket.take(0.5) == 0.5
    assert [bucket.take(1000.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def _file(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "keys"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_keys_are_distinguished(tmp_path: Path) -> None:
    """A known key has its name and its own limit; another one, or none, is refused."""
    one, two = new_key(), new_key()
    path = _file(tmp_path, "# ours", f"one {digest(one)} 1 1", "", f"two {digest(two)}  # free")
    now = 0.0
    ring = read_keys(path, lambda: now)
    assert ring.decide(one).verdict == "accepted"
    limited = ring.decide(one)
    assert (limited.verdict, limited.name, limited.retry_after) == ("limited", "one", 1.0)
    assert [ring.decide(two).verdict for _ in range(99)] == ["accepted"] * 99
    assert {ring.decide(key).verdict for key in (None, "", "x", "\udfff", digest(one))} == {
        "refused"
    }
    now = 1.0
    assert ring.decide(one).verdict == "accepted"
    assert one not in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["one"], "line 1: write NAME SHA256"),
        (["one tbk_secret"], "line 1: write NAME SHA256"),
        (["# x", "a b c d e f"], "line 2"),
        ([f"na/me {'0' * 64}"], "line 1: a name has"),
        ([f"unknown {'0' * 64}"], "line 1: a name has"),
        ([f"one {'0' * 64} 0"], "line 1: the rate"),
        ([f"one {'0' * 64} 1e-320"], "line 1: the rate must be at least 0.001"),
        ([f"one {'0' * 64} 0.0009"], "line 1: the rate must be at least 0.001"),
        ([f"one {'0' * 64} 1 inf"], "line 1: the rate"),
        ([f"one {'0' * 64} many"], "line 1: the rate"),
        ([f"one {'0' * 64} 5 nan"], "line 1: the rate"),
        ([f"one {'0' * 64}", f"two {'0' * 64}"], "line 2: this key or its name"),
        ([f"one {'0' * 64}", f"one {'1' * 64}"], "line 2: this key or its name"),
        ([], "0 keys"),
    ],
)
def test_wrong_lines_are_named_and_not_shown(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    """The error names the line; a secret that stands there by mistake is not repeated."""
    with pytest.raises(SettingsError, match=message) as caught:
        read_keys(_file(tmp_path, *lines), lambda: 0.0)
    assert "secret" not in str(caught.value)


def test_new_key_fits_the_file(tmp_path: Path) -> None:
    """Output is the line for the file, the key itself is on standard error only."""
    done = CliRunner().invoke(command_line, ["keys", "new", "me", "--rate", "5"])
    assert done.exit_code == 0
    (key,) = re.findall(r"tbk_\S+", done.stderr)
    assert key not in done.stdout
    ring = read_keys(_file(tmp_path, done.stdout), lambda: 0.0)
    assert ring.decide(key).name == "me"


@pytest.mark.parametrize(("rate", "burst"), [("0.001", "1"), ("1234567.5", "2345678.5")])
def test_limits_of_a_new_key_are_those_that_were_given(
    tmp_path: Path, rate: str, burst: str
) -> None:
    """The least that the command takes is the least that the file takes; no digit is lost."""
    arguments = ["keys", "new", "me", "--rate", rate, "--burst", burst]
    done = CliRunner().invoke(command_line, arguments)
    assert done.exit_code == 0
    (key,) = re.findall(r"tbk_\S+", done.stderr)
    bucket = read_keys(_file(tmp_path, done.stdout), lambda: 0.0).decide(key).bucket
    assert bucket is not None
    assert (bucket.rate, bucket.burst) == (float(rate), float(burst))


@pytest.mark.parametrize(
    "limits", [["--rate", "0.0009"], ["--rate", "nan"], ["--rate", "5", "--burst", "inf"]]
)
def test_limits_that_no_file_may_have_make_no_key(limits: list[str]) -> None:
    """They are refused before a key is made."""
    done = CliRunner().invoke(command_line, ["keys", "new", "me", *limits])
    assert done.exit_code != 0
    assert "tbk_" not in done.stdout + done.stderr


async def _guarded(api: Api, ring: KeyRing, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's
    app = create_app(api.settings, api.service, api.telemetry, ring)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        return await client.request(**request)


@pytest.mark.anyio
async def test_guarded_routes(api: Api, instruments: Instruments) -> None:
    """401 and 429 come before the body is read; the rest is open; all is counted by name."""
    del instruments
    ring = KeyRing({digest("good"): ("me", TokenBucket(1.0, 2.0))}, lambda: 0.0)
    call: dict[str, Any] = {"method": "POST", "url": "/predict", "json": api.row}
    for headers in ({}, {"X-API-Key": "bad"}, {"Authorization": "Basic good"}):
        reply = await _guarded(api, ring, **call, headers=headers)
        assert reply.status_code == 401
        assert "bad" not in reply.text
    for path in ("/labels", "/predict/batch", "/predict/stream"):
        assert (await _guarded(api, ring, method="POST", url=path, json={})).status_code == 401
    assert (await _guarded(api, ring, method="GET", url="/model")).status_code == 401
    for headers in ({"X-API-Key": "good"}, {"Authorization": "Bearer good"}):
        assert (await _guarded(api, ring, **call, headers=headers)).status_code == 200
    limited = await _guarded(api, ring, **call, headers={"X-API-Key": "good"})
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "1")
    for path in ("/", "/health", "/openapi.json"):
        assert (await _guarded(api, ring, method="GET", url=path)).status_code == 200
    name = "ml_api_key_requests_total"
    assert api.value(name, api_key_name="me", outcome="accepted") == 2
    assert api.value(name, api_key_name="me", outcome="limited") == 1
    assert api.value(name, api_key_name="unknown", outcome="refused") == 7
    assert len(api.log.rows) == 2


@pytest.mark.anyio
async def test_strangers_learn_only_whether_it_serves(make_api: ApiMaker) -> None:
    """No path, no name of a key and no count; who has a key sees the metrics."""
    async with make_api(load=False) as api:
        api.runtime.load_error = ModelError("no model at /secret/place")
        await api.service.load()
        ring = KeyRing({digest("good"): ("my-name", TokenBucket(1.0, 9.0))}, lambda: 0.0)
        call: dict[str, Any] = {"method": "POST", "url": "/predict", "json": api.row}
        answers = [await _guarded(api, ring, **call)]
        paths = ("/", "/metrics", "/monitoring/stats", "/health", "/health/live")
        answers += [await _guarded(api, ring, method="GET", url=path) for path in paths]
        ready = await _guarded(api, ring, method="GET", url="/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})
        assert "/secret/place" in (await api.public.get("/health/ready")).text  # no keys set
        assert [reply.status_code for reply in answers] == [401, 200, 401, 401, 503, 200]
        for reply in (*answers, ready):
            assert not re.search(r"secret|my-name|_total|\d{2,}", reply.text), reply.text
        for path in ("/metrics", "/monitoring/stats"):
            known = await _guarded(api, ring, method="GET", url=path, headers={"X-API-Key": "good"})
            assert known.status_code == 200
        assert "/secret/place" in (await api.management.get("/health/ready")).text


@pytest.mark.anyio
async def test_docs_can_be_turned_off(make_api: ApiMaker) -> None:
    """Then nothing describes the API to a stranger."""
    async with make_api(docs_enabled=False) as api:
        for path in ("/docs", "/openapi.json", "/redoc"):
            assert (await api.public.get(path)).status_code == 404
        assert "docs" not in (await api.public.get("/")).json()


@pytest.mark.anyio
async def test_rows_of_a_batch_count_as_predictions(api: Api) -> None:
    """All are allowed or none; what is refused takes nothing from the key."""
    bucket = TokenBucket(1.0, 5.0)
    ring = KeyRing({digest("good"): ("me", bucket)}, lambda: 0.0)

    async def send(count: int) -> httpx.Response:
        body = {"records": [api.row] * count}
        headers = {"X-API-Key": "good"}
        return await _guarded(
            api, ring, method="POST", url="/predict/batch", json=body, headers=headers
        )

    too_large = await send(6)
    assert (too_large.status_code, "5 predictions at once" in too_large.text) == (429, True)
    assert "Retry-After" not in too_large.headers
    assert (await send(3)).status_code == 200
    later = await send(4)
    assert (later.status_code, later.headers["Retry-After"]) == (429, "2")
    assert (await send(2)).status_code == 200
    assert len(api.log.rows) == 5
    name = "ml_api_key_requests_total"
    assert api.value(name, api_key_name="me", outcome="accepted") == 2
    assert api.value(name, api_key_name="me", outcome="limited") == 2


@pytest.mark.anyio
async def test_lines_of_a_stream_count_as_predictions(api: Api) -> None:
    """What the key allows is predicted; every further line is answered with 429."""
    ring = KeyRing({digest("good"): ("me", TokenBucket(1.0, 3.0))}, lambda: 0.0)
    reply = await _guarded(
        api,
        ring,
        method="POST",
        url="/predict/stream",
        content=(json.dumps(api.row) + "\n") * 600,
        headers={"X-API-Key": "good", "Content-Type": "application/x-ndjson"},
    )
    answers = [json.loads(line) for line in reply.text.splitlines()]
    assert [answer.get("status", 200) for answer in answers] == [200] * 3 + [429] * 597
    assert answers[-1]["retry_after"] == 1
    assert len(api.log.rows) == 3
    assert api.value("ml_api_key_requests_total", api_key_name="me", outcome="limited") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("order", [("good", "bad"), ("bad", "good")])
async def test_two_keys_mean_the_same_everywhere(api: Api, order: tuple[str, str]) -> None:
    """The first counts, on every route."""
    ring = KeyRing({digest("good"): ("me", TokenBucket(math.inf, 1.0))}, lambda: 0.0)
    headers = [("X-API-Key", key) for key in order]
    statuses = {
        (await _guarded(api, ring, method=method, url=path, headers=headers, **body)).status_code
        for method, path, body in (
            ("POST", "/predict", {"json": api.row}),
            ("POST", "/predict/batch", {"json": {"records": [api.row]}}),
            ("GET", "/model", {}),
        )
    }
    assert statuses == {200 if order[0] == "good" else 401}
