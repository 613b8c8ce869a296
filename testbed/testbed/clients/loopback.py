"""Single requests to the programs of a stack, which are on this machine or in its network."""

from __future__ import annotations

import time
from functools import cache
from typing import Any, Final

import httpx


def request(method: str, url: str, *, timeout: float, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
    """Ask once, past any proxy of the environment: none can sit between two ports of a stack.

    Args:
        method: HTTP method.
        url: absolute.
        timeout: seconds for connecting and for each read.
        options: ``json``, ``params``, ``headers`` and the like, as httpx takes them.

    Raises:
        httpx.HTTPError: there is no answer.
    """
    return _client().request(method, url, timeout=timeout, **options)


def get(url: str, *, timeout: float, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
    """:func:`request` with ``GET``."""
    return request("GET", url, timeout=timeout, **options)


def reason(error: Exception) -> str:
    """Why a request failed, in one line that shows none of its headers: they may hold keys."""
    kind = type(error).__name__
    if isinstance(error, httpx.LocalProtocolError):
        return f"{kind}: what was to be sent is no request of HTTP"
    return f"{kind}: {error}".rstrip(": ")


LARGEST: Final = 8 * 2**20
"""Bytes of an answer of a program that nobody knows."""


def ask_stranger(method: str, url: str, *, timeout: float, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
    """:func:`request` of a program that may answer without an end.

    Args:
        method: HTTP method.
        url: absolute.
        timeout: seconds for connecting, for each read and for the whole answer.
        options: as for :func:`request`.

    Raises:
        httpx.HTTPError: there is no answer, or none that ends in time or within :data:`LARGEST`.
    """
    deadline = time.monotonic() + timeout
    content = bytearray()
    with _client().stream(method, url, timeout=timeout, **options) as reply:
        for part in reply.iter_bytes():
            content += part
            if len(content) > LARGEST:
                raise httpx.ReadError(f"the answer has over {LARGEST:,} bytes")
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout(f"the answer does not end within {timeout:g} s")
    kind = {"content-type": reply.headers.get("content-type", "")}
    return httpx.Response(
        reply.status_code, headers=kind, content=bytes(content), request=reply.request
    )


@cache
def _client() -> httpx.Client:
    # One for the process: making one reads the certificates of the machine, which takes longer than
    # most answers. Programs of a stack are restarted, so no connection outlives its answer.
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
