"""Turns faults of the API on and off through its management port."""

from __future__ import annotations

import httpx

from testbed.errors import StackError


class FaultControl:
    """Client of ``/faults`` on the management port.

    Args:
        url: base URL of the management port.
    """

    def __init__(self, url: str) -> None:
        self._url = f"{url}/faults"

    def set(self, *, errors: float = 0.0, latency: float = 0.0) -> None:
        """Make these the faults; none when both are 0.

        Args:
            errors: share of predictions to answer with 500.
            latency: seconds to add to every inference.

        Raises:
            StackError: the API refused or did not answer.
        """
        body: dict[str, dict[str, float]] = {}
        if errors:
            body["errors"] = {"share": errors}
        if latency:
            body["latency"] = {"seconds": latency}
        try:
            httpx.put(self._url, json=body, timeout=5.0).raise_for_status()
        except httpx.HTTPError as error:
            raise StackError(f"the fault control of the API failed: {error}") from error
