"""Puts a file in the place of one that a component has loaded, and puts that back.

The component is asked by SIGHUP to load it, as by an operator, and then what it has loaded.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx
import yaml
from testbed_domain.files import write_atomic

from testbed.clients import loopback
from testbed.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TIMEOUT: Final = 2.0
LOADING: Final = 5.0
"""Seconds in which a component must have loaded its files."""

LOOK: Final = 0.05


@dataclass(slots=True)
class Deployment:
    """One file of a component; what it held is put back by :meth:`restore`.

    Attributes:
        path: the file, which need not be there.
        pid: gives the id of its process; None while it is down.
        url: base URL of the component.
        reloads: its gauge that is 1 where the last reload succeeded; its counterpart with
            ``_success_timestamp_seconds`` says when.
        before: what the file held; None where there was none.
    """

    path: Path
    pid: Callable[[], int | None]
    url: str
    reloads: str
    before: bytes | None = field(init=False)

    def put(self, document: Mapping[str, Any]) -> None:
        """Write another file there and wait until it is loaded or refused."""
        self.before = self.path.read_bytes() if self.path.exists() else None
        write_atomic(self.path, yaml.safe_dump(dict(document), sort_keys=False))
        self._reload()

    def restore(self) -> None:
        """Put back what was there, and wait until it is loaded or refused."""
        if self.before is None:
            self.path.unlink(missing_ok=True)
        else:
            write_atomic(self.path, self.before)
        self._reload()

    def reloaded(self) -> tuple[bool, float]:
        """Whether the last reload succeeded, and the Unix time of the last one that did.

        Raises:
            StackError: the component does not say so.
        """
        prefix = self.reloads.removesuffix("successful")
        stamp = f"{prefix}success_timestamp_seconds"
        found = dict(line.split(" ", 1) for line in self._page() if line.startswith(prefix))
        try:
            return float(found[self.reloads]) == 1, float(found[stamp])
        except (KeyError, ValueError):
            raise StackError(f"{self.url} does not say whether it has loaded its files") from None

    def ask(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """What the component answers to a question, decoded.

        Raises:
            StackError: it does not answer.
        """
        try:
            return loopback.get(f"{self.url}{path}", timeout=TIMEOUT).raise_for_status().json()
        except httpx.HTTPError as error:
            raise StackError(f"{self.url}{path} does not answer: {error}") from error

    def _page(self) -> list[str]:
        try:
            reply = loopback.get(f"{self.url}/metrics", timeout=TIMEOUT).raise_for_status()
        except httpx.HTTPError as error:
            raise StackError(f"{self.url}/metrics does not answer: {error}") from error
        return reply.text.splitlines()

    def _reload(self) -> None:
        """Ask for it; what is down reads its files as it starts."""
        pid = self.pid()
        if pid is None:
            return
        _, last = self.reloaded()
        os.kill(pid, signal.SIGHUP)
        deadline = time.monotonic() + LOADING
        while time.monotonic() < deadline:
            succeeded, now = self.reloaded()
            if now > last or not succeeded:
                return
            time.sleep(LOOK)
