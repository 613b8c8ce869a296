"""How one sees that a component is ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import httpx

from testbed.clients import loopback
from testbed.stack.addresses import management_addresses
from testbed.stack.context import StackContext

PROBE_TIMEOUT: Final = 2.0


def get_ok(address: str, path: str) -> Callable[[StackContext], str | None]:
    """A probe that wants 200 from a path."""

    def probe(context: StackContext) -> str | None:
        reply = loopback.get(f"{context.url(address)}{path}", timeout=PROBE_TIMEOUT)
        if reply.status_code == httpx.codes.OK:
            return None
        return f"{path} answers {reply.status_code}: {reply.text[:200].strip()}"

    return probe


def instant_query(context: StackContext, expression: str) -> list[dict[str, dict[str, str]]]:
    """Result vector of an instant query."""
    reply = loopback.get(
        f"{context.url('prometheus:9090')}/api/v1/query",
        params={"query": expression},
        timeout=PROBE_TIMEOUT,
    )
    reply.raise_for_status()
    result: list[dict[str, dict[str, str]]] = reply.json()["data"]["result"]
    return result


def api_not_ready(context: StackContext) -> str | None:
    """The API is ready when each of its replicas is."""
    probes = (get_ok(name, "/health/ready") for name in management_addresses(context.replicas))
    return next((reason for probe in probes if (reason := probe(context)) is not None), None)


def drift_not_ready(context: StackContext) -> str | None:
    """The drift job is ready when its first run has ended: imports are behind it then."""
    done = (context.layout.drift / "runs.jsonl").exists()
    return None if done else "its first run has not ended yet"
