"""Single requests to the programs of a stack, which are on this machine or in its network."""

from __future__ import annotations

from functools import cache
from typing import Any

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


@cache
def _client() -> httpx.Client:
    # One for the process: making one reads the certificates of the machine, which takes longer than
    # most answers. Programs of a stack are restarted, so no connection outlives its answer.
    return httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
