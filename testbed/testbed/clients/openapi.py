"""The OpenAPI document that a service shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import httpx

from testbed.clients import loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

OPENAPI: Final = ("/openapi.json", "/docs.json", "/swagger.json")
"""Where it usually is."""
TIMEOUT: Final = 5.0


def read_document(url: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
    """The document, with its operations alone as routes; None where there is none.

    Args:
        url: of the service; all its paths are below it.
        headers: of each request.
    """
    root = url.rstrip("/")
    return next((found for path in OPENAPI if (found := _json(f"{root}{path}", headers))), None)


def _json(url: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
    try:
        reply = loopback.ask_stranger("GET", url, timeout=TIMEOUT, headers=headers)
        found = json.loads(reply.text) if reply.is_success else None
    except (httpx.HTTPError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(paths := found.get("paths"), dict):
        return None
    # What is no operation can't be asked.
    routes = {
        str(path): {method: each for method, each in item.items() if isinstance(each, dict)}
        for path, item in paths.items()
        if isinstance(item, dict)
    }
    return found | {"paths": routes}
