"""Disturbs a link by its proxy (Toxiproxy), and looks what comes of it over a connection."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx

from testbed.clients import loopback
from testbed.errors import StackError
from testbed.faults.rig.questions import FILLER, question_for
from testbed.stack.links import CONTROL, listener

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.stack.links import Link

TIMEOUT: Final = 5.0

WAIT: Final = 2.0
"""Seconds beyond what is planned for which an answer is waited for."""

MIN_RATIO: Final = 0.75
"""Ratio of the planned delay that must be seen."""

CLOSED: Final = "was closed"
RESET: Final = "was reset"
SILENT: Final = "had no answer"

# A proxy that resets both ends may be seen to close this one first: no answer comes either way.
WANTED: Final = {"partition": {SILENT}, "reset": {RESET, CLOSED}}


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What is done to the data on its way to whom is asked; see :class:`NetworkFault`."""

    delay: float = 0.0
    jitter: float = 0.0
    bandwidth: int | None = None
    lost: str | None = None

    @property
    def minimum(self) -> float:
        """Seconds by which a question comes later, at least."""
        narrow = FILLER / 1000 / self.bandwidth if self.bandwidth else 0.0
        return self.delay - self.jitter + narrow

    def took_hold(self, outcome: str, seconds: float) -> bool:
        """Whether a connection shows it: what became of it, and after how many seconds."""
        if self.lost is None:
            return seconds >= MIN_RATIO * self.minimum
        return outcome in WANTED[self.lost]

    @property
    def toxics(self) -> list[dict[str, Any]]:
        """The same in Toxiproxy's words."""
        found: list[tuple[str, dict[str, int]]] = []
        if self.lost == "partition":
            found.append(("timeout", {"timeout": 0}))
        elif self.lost == "reset":
            found.append(("reset_peer", {"timeout": 0}))
        if self.delay:
            milliseconds = {"latency": self.delay, "jitter": self.jitter}
            found.append(("latency", {key: round(1000 * s) for key, s in milliseconds.items()}))
        if self.bandwidth:
            found.append(("bandwidth", {"rate": self.bandwidth}))
        return [
            {"name": kind, "type": kind, "stream": "upstream", "attributes": attributes}
            for kind, attributes in found
        ]


class Disturbed:
    """A link that is disturbed; probed once, in a thread of its own.

    Args:
        proxy: URL of the proxy's control.
        way: address of the proxy.
        question: what the component behind it answers.
        disturbance: what is done.
    """

    def __init__(self, proxy: str, way: str, question: bytes, disturbance: Disturbance) -> None:
        self._proxy = proxy
        self._way = way
        self._question = question
        self._disturbance = disturbance
        self._seen: dict[str, Any] = {}
        for toxic in disturbance.toxics:
            _ask("POST", f"{proxy}/toxics", json=toxic)
        self._thread = threading.Thread(target=self._probe, name="network probe", daemon=True)
        self._thread.start()

    def end(self) -> Mapping[str, Any]:
        """Disturb it no longer; returns what the probe saw."""
        for toxic in self._disturbance.toxics:
            _ask("DELETE", f"{self._proxy}/toxics/{toxic['name']}")
        self._thread.join()
        return self._seen

    def _probe(self) -> None:
        began = time.monotonic()
        outcome = probe(self._way, self._question, self._disturbance.minimum + WAIT)
        took = time.monotonic() - began
        self._seen = {
            "probed": f"a connection over it {outcome} after {took:.2f} s",
            "took": self._disturbance.took_hold(outcome, took),
        }


def probe(address: str, question: bytes, timeout: float) -> str:
    """What became of a question: it was answered, closed or reset, or it had no answer."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout) as connection:
            connection.settimeout(timeout)
            connection.sendall(question)
            return "was answered" if connection.recv(1) else CLOSED
    except TimeoutError:
        return SILENT
    except OSError:
        return RESET


def disturb(endpoints: Mapping[str, str], link: Link, disturbance: Disturbance) -> Disturbed:
    """Disturb a link.

    Raises:
        StackError: its proxy does not answer, or refuses.
    """
    name = listener(link)
    proxy = f"http://{endpoints[CONTROL]}/proxies/{name}"
    return Disturbed(proxy, endpoints[name], question_for(link[1]), disturbance)


def _ask(method: str, url: str, **options: Any) -> None:  # noqa: ANN401 - httpx's own
    try:
        loopback.request(method, url, timeout=TIMEOUT, **options).raise_for_status()
    except httpx.HTTPError as error:
        raise StackError(f"the proxy of a link does not obey: {error}") from error
