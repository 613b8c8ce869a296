"""Turns faults of the API on and off through the management port of each replica."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from testbed.errors import StackError


class FaultControl:
    """Client of ``/faults`` on the management ports.

    Args:
        urls: base URL of each replica's management port.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = [f"{url}/faults" for url in urls]
        self._body: dict[str, dict[str, float]] = {}

    def set(self, *, errors: float = 0.0, latency: float = 0.0) -> None:
        """Make these the faults; none when both are 0.

        Args:
            errors: share of predictions to answer with 500.
            latency: seconds to add to every inference.

        Raises:
            StackError: the API refused or did not answer.
        """
        self._body = {}
        if errors:
            self._body["errors"] = {"share": errors}
        if latency:
            self._body["latency"] = {"seconds": latency}
        self._put()

    def set_again(self) -> None:
        """Give the faults of now to replicas that came up after they were set.

        Raises:
            StackError: no replica answered, or one refused.
        """
        if self._body:
            self._put()

    def _put(self) -> None:
        down = []
        try:
            for url in self._urls:
                try:
                    httpx.put(url, json=self._body, timeout=5.0).raise_for_status()
                except httpx.TransportError as error:
                    # A replica that is down gets them once it is back.
                    down.append(error)
        except httpx.HTTPError as error:
            raise StackError(f"the fault control of the API failed: {error}") from error
        if len(down) == len(self._urls):
            raise StackError(f"the fault control of the API failed: {down[0]}") from down[0]
