"""The management port: looked at by any program, changed only with the token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
from testbed_api.errors import SettingsError
from testbed_api.http.management import artefact_folders, guarded, inside
from testbed_api.settings import ApiSettings

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact

pytestmark = pytest.mark.anyio
CHANGES = (
    ("PUT", "/faults"), ("DELETE", "/faults"), ("PUT", "/models/challenger"),
    ("DELETE", "/models/challenger"), ("PUT", "/models/traffic"), ("POST", "/models/promote"),
    ("POST", "/models/rollback"), ("PATCH", "/anything"),
)  # fmt: skip


async def _served(_scope: Any, _receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


def _client(settings: ApiSettings) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(guarded(_served, settings))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9464")


def _settings(tmp_path: Path, **given: Any) -> ApiSettings:  # noqa: ANN401 - settings
    return ApiSettings(artefact=tmp_path, **given)


async def test_changes_need_the_token(tmp_path: Path) -> None:
    """Every method that may change something, whatever its path."""
    path = tmp_path / "token"
    async with _client(_settings(tmp_path, management_token_file=path)) as client:
        token = path.read_text().strip()
        wrong: tuple[dict[str, str], ...] = (
            {},
            {"Authorization": token},
            {"Authorization": f"Bearer {token}x"},
        )
        for method, address in CHANGES:
            for headers in wrong:
                reply = await client.request(method, address, headers=headers)
                assert (reply.status_code, reply.headers["www-authenticate"]) == (401, "Bearer")
                assert token not in reply.text
            right = {"Authorization": f"Bearer {token}"}
            assert (await client.request(method, address, headers=right)).status_code == 204
            evil = right | {"Origin": "https://evil.example"}
            assert (await client.request(method, address, headers=evil)).status_code == 403
            rebound = right | {"Host": "evil.example"}
            assert (await client.request(method, address, headers=rebound)).status_code == 421


async def test_without_a_token_nothing_changes(tmp_path: Path) -> None:
    """The answer says how to get one."""
    async with _client(_settings(tmp_path)) as client:
        for method, address in CHANGES:
            reply = await client.request(method, address, headers={"Authorization": "Bearer x"})
            assert reply.status_code == 403
            assert "TESTBED_API_MANAGEMENT_TOKEN_FILE" in reply.json()["detail"]


async def test_looking_needs_no_token_but_the_right_name(tmp_path: Path) -> None:
    """Prometheus scrapes and probes look; a site that rebinds its name does not."""
    async with _client(_settings(tmp_path, management_names="api, other")) as client:
        for path in ("/metrics", "/health", "/models", "/faults"):
            assert (await client.get(path)).status_code == 204
            assert (await client.get(path, headers={"Host": "api:9464"})).status_code == 204
            assert (await client.get(path, headers={"Host": "evil.example"})).status_code == 421
            script = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
            assert (await client.get(path, headers=script)).status_code == 403


def test_artefacts_lie_in_configured_folders(tmp_path: Path, artefact: Artefact) -> None:
    """Links and dots lead nowhere else; by default it is the folder of the artefact."""
    folder, outside = tmp_path / "models", tmp_path / "outside"
    for path in (folder / "one", outside):
        path.mkdir(parents=True)
    (folder / "link").symlink_to(outside)
    (folder / "loop").symlink_to(folder / "loop")
    folders = artefact_folders(_settings(tmp_path, artefact_folders=f"{folder}, "))
    assert inside(str(folder / "one"), folders)
    assert not any(
        inside(str(path), folders)
        for path in (
            outside, folder, folder / "link", folder / ".." / "outside", "/etc", "a\0b",
            folder / "loop", f"{folder}-other",
        )
    )  # fmt: skip
    assert artefact_folders(_settings(tmp_path), artefact) == (artefact.path.resolve().parent,)
    with pytest.raises(SettingsError, match="ARTEFACT_FOLDERS"):
        artefact_folders(_settings(tmp_path, artefact_folders=str(tmp_path / "absent")))
