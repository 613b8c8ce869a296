"""Looks at a running service: its OpenAPI document, its metrics, and one answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from testbed.clients import loopback
from testbed.clients.openapi import read_document
from testbed.errors import UsageError

TIMEOUT: Final = 5.0
PREDICTIONS: Final = 3
"""Predictions that are asked for: enough to see which counters count them."""
READY: Final = ("/health/ready", "/readyz", "/healthz", "/health", "/ping", "/v2/health/ready")
METRICS: Final = "/metrics"
GUARDED: Final = (401, 403)

Counters = dict[tuple[str, tuple[tuple[str, str], ...]], float]
"""Name and labels of a series to its value."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a service shows of itself.

    Attributes:
        url: where it runs.
        openapi: its OpenAPI document; None where it has none.
        ready: the first usual path of health that answers.
        metrics: its page of metrics; None where it has none.
        page: where that is: what redirects a scrape, as a mounted application does, costs each one
            a second request, and gets no key.
        guarded: status by which the page of metrics is refused to who has no key; None: it isn't.
        still_guarded: whether it is refused, too, to who sends what Prometheus can send.
        keyed: whether it is shown to who sends the headers that were given.
        answer: what it answered to a prediction; None where it was not asked, or did not predict.
        refused: what it answered in place of a prediction.
        grown: series of counters that grew by the predictions that were asked for.
    """

    url: str
    openapi: Mapping[str, Any] | None = None
    ready: str | None = None
    metrics: str | None = None
    page: str = METRICS
    guarded: int | None = None
    still_guarded: bool = False
    keyed: bool = False
    answer: Any = None
    refused: str = ""
    grown: tuple[tuple[str, Mapping[str, str]], ...] = field(default=())


def look(url: str, headers: Mapping[str, str], scraped: Mapping[str, str]) -> Looked:
    """Read what it shows without being asked for anything.

    Health is asked as a run asks for it: without headers.

    Args:
        url: where it runs; all its paths are below it.
        headers: by which its OpenAPI document is asked for.
        scraped: by which its metrics are asked for, where they are refused without.

    Raises:
        UsageError: nothing answers at the URL.
    """
    root = url.rstrip("/")
    try:
        loopback.ask_stranger("GET", f"{root}/", timeout=TIMEOUT)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UsageError(f"nothing answers at {url}: {loopback.reason(error)}") from None
    page = _asked(f"{root}{METRICS}")
    where = _below(root, page)
    guarded = None if page is None or page.status_code not in GUARDED else page.status_code
    if guarded is not None and scraped:
        page = _asked(f"{root}{where}", scraped)
    text = None if page is None or not page.is_success else page.text
    shown = text if text is not None and counters(text) else None
    return Looked(
        url=root,
        openapi=read_document(url, headers),
        ready=next((path for path in READY if _text(f"{root}{path}") is not None), None),
        metrics=shown,
        page=where,
        guarded=guarded,
        still_guarded=page is not None and page.status_code in GUARDED,
        keyed=guarded is not None and shown is not None,
    )


def ask(
    looked: Looked,
    path: str,
    body: object,
    headers: Mapping[str, str],
    scraped: Mapping[str, str],
    hidden: Callable[[str], str],
) -> Looked:
    """Ask for a few predictions, and see what was answered and which counters grew.

    Args:
        looked: what it has shown so far.
        path: of predictions.
        body: of a request.
        headers: of a request.
        scraped: those of its page of metrics.
        hidden: takes keys out of what it says.
    """
    before = counters(looked.metrics or "")
    answer, refused = None, ""
    for _ in range(PREDICTIONS):
        try:
            reply = loopback.ask_stranger(
                "POST", f"{looked.url}{path}", json=body, headers=headers, timeout=TIMEOUT
            )
        except httpx.HTTPError as error:
            refused = loopback.reason(error)
            break
        if not reply.is_success:
            refused = f"{reply.status_code}: {' '.join(hidden(reply.text).split())[:200]}"
            break
        try:
            answer = reply.json()
        except (ValueError, RecursionError):
            refused = f"no JSON: {' '.join(hidden(reply.text).split())[:200]}"
    after = counters(_text(f"{looked.url}{looked.page}", scraped if looked.keyed else None) or "")
    grown = tuple(
        (name, dict(labels))
        for (name, labels), value in sorted(after.items())
        if not refused and value - before.get((name, labels), 0.0) == PREDICTIONS
    )
    return replace(looked, answer=answer, refused=refused, grown=grown)


def counters(page: str) -> Counters:
    """Counters and counts of histograms on a page of metrics; empty where it is none."""
    try:
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(page)
            if family.type in {"counter", "histogram", "summary"}
            for sample in family.samples
            if sample.name.endswith(("_total", "_count"))
        }
    except ValueError:
        return {}


def _below(root: str, page: httpx.Response | None) -> str:
    """Path of the page of metrics to which the usual one leads, if that is the service's own."""
    found = "" if page is None else str(page.url)
    return found.removeprefix(root) if found.startswith(f"{root}/") else METRICS


def _asked(url: str, headers: Mapping[str, str] | None = None) -> httpx.Response | None:
    """The answer; as Prometheus asks, which takes a key to nobody else."""
    try:
        return loopback.ask_stranger(
            "GET", url, timeout=TIMEOUT, headers=headers, follow_redirects=not headers
        )
    except httpx.HTTPError:
        return None


def _text(url: str, headers: Mapping[str, str] | None = None) -> str | None:
    reply = _asked(url, headers)
    return None if reply is None or not reply.is_success else reply.text
