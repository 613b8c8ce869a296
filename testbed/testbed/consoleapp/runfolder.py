"""The folder of a run, as the console reads it while the run goes on."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.files import read_regular

from testbed.active import ACTIVE_FILE
from testbed.clients.prometheus import PrometheusClient
from testbed.consoleapp.lines import EVENT, FittingTail
from testbed.consoleapp.programme import Programme, programme
from testbed.errors import UsageError
from testbed.stack.addresses import PROMETHEUS
from testbed.watch import LoadWatch, WatchView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.layout import RunLayout
    from testbed.scenario import Scenario

ANSWER_SECONDS: Final = 5.0
"""Of Prometheus: a page asks twice, and is cut off after 15 s without a word."""
ANSWER_BYTES: Final = 16 << 20
UP = "up"
"""Scenario of a stack that plays nothing by itself."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What a stack says of itself once it runs; empty before.

    Attributes:
        urls: name to URL of what a person may open.
        pids: component to process id.
    """

    urls: Mapping[str, str] = field(default_factory=dict)
    pids: Mapping[str, int] = field(default_factory=dict)


class RunFolder:
    """Reads one run's files again and again; lines that were read once are not read again.

    Args:
        layout: files of the run.
    """

    def __init__(self, layout: RunLayout) -> None:
        self.layout = layout
        self._timeline = FittingTail(layout.timeline, EVENT)
        self._events: list[dict[str, Any]] = []
        self._identity: dict[str, Any] = {}
        self._scenario: Scenario | None = None
        self._load = LoadWatch(layout.truth, time.time)
        self._sent = WatchView()

    @property
    def identity(self) -> Mapping[str, Any]:
        """What ``run.json`` says; empty while it is not there."""
        if not self._identity:
            self._identity = _json(self.layout.run_file)
        return self._identity

    def prometheus(self) -> PrometheusClient:
        """A client of the stack's Prometheus, for a page: bounded in time and size."""
        address, intake = self.identity["endpoints"][PROMETHEUS], self.identity.get("intake")
        base = f"http://{address}{f'/{intake}' if intake else ''}"
        return PrometheusClient(base, timeout=ANSWER_SECONDS, largest=ANSWER_BYTES)

    @property
    def factor(self) -> float:
        """Time scale."""
        return float(self.identity.get("time_scale") or 1)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Lines of the timeline so far."""
        self._events += self._timeline.read()
        return self._events

    @property
    def announced(self) -> Announced:
        """What the stack says of itself."""
        found = _json(self.layout.root / ACTIVE_FILE)
        urls, pids = found.get("urls"), found.get("components")
        return Announced(
            urls if isinstance(urls, dict) else {}, pids if isinstance(pids, dict) else {}
        )

    @property
    def plays(self) -> bool:
        """Whether the run has a scenario; one of `up` has none."""
        return bool(self.identity.get("scenario", UP) != UP)

    def programme(self, now: float) -> Programme | None:
        """What it plays; None where it plays nothing, or its files don't say yet.

        Args:
            now: Unix time.
        """
        if not self.plays:
            return None
        if self._scenario is None:
            self._scenario = _scenario(self.layout)
        if self._scenario is None:
            return None
        return programme(self.layout.root.name, self._scenario, self.factor, self.events, now)

    @property
    def sent(self) -> WatchView:
        """What the load has sent so far, as far as its lines can be read."""
        with suppress(OSError, ValueError, TypeError, KeyError):
            self._load.update(self._sent)
        return self._sent

    @property
    def passed(self) -> bool | None:
        """Whether the run has passed; None while there is no verdict."""
        found = _json(self.layout.verdict_file).get("passed")
        return found if isinstance(found, bool) else None


def _scenario(layout: RunLayout) -> Scenario | None:
    # Takes half a second to import, which the start of a stack must not wait for.
    from testbed.scenario import read_scenario  # noqa: PLC0415 - see above

    try:
        return read_scenario(layout.scenario_file)
    except UsageError:
        return None


def _json(path: Any) -> dict[str, Any]:  # noqa: ANN401 - a path
    try:
        found = json.loads(read_regular(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
