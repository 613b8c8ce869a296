"""What a scenario does to Prometheus itself, and how it is undone.

Prometheus is asked by SIGHUP to load its files again, as an operator does. Its files are those of
the run, and are as they were once a fault is over.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpx
import yaml
from testbed_domain.files import write_atomic

from testbed.clients import loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

BROKEN: Final = "scrape_configs: this is no configuration\n"
RULES_FILE: Final = "fault.yml"
AGE: Final = 86_400.0
"""Seconds by which samples are too old: more than any out-of-order window of a run."""

SENT_EVERY: Final = 0.25
TIMEOUT: Final = 2.0

# Two series of a job on the side of one: an error of the evaluation.
_TWO: Final = '{__name__=~"prometheus_build_info|prometheus_ready"}'
_GROUPS: Final[Mapping[str, Mapping[str, Any]]] = {
    "failing": {
        "name": "fault-failing",
        "rules": [
            {
                "record": "testbed:fault:failing",
                "expr": f"up == on (job) group_left () {_TWO}",
            }
        ],
    },
    "hurried": {
        "name": "fault-hurried",
        "interval": "10ms",
        "rules": [{"record": "testbed:fault:hurried", "expr": 'count({__name__=~".+"})'}],
    },
}


class PrometheusFaults:
    """Breaks one Prometheus and mends it.

    Args:
        configuration: its file.
        rules: folder of its rules.
        url: base URL.
        pid: gives the id of its process; None while it is down.
        clock: Unix seconds.
    """

    def __init__(
        self,
        configuration: Path,
        rules: Path,
        url: str,
        pid: Callable[[], int | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._configuration = configuration
        self._rules = rules / RULES_FILE
        self._url = url
        self._pid = pid
        self._clock = clock
        self._sound: bytes | None = None
        self._stop = threading.Event()
        self._sender: threading.Thread | None = None

    def break_configuration(self) -> None:
        """Let it load a configuration that it can't read."""
        self._sound = self._configuration.read_bytes()
        write_atomic(self._configuration, BROKEN)
        self._reload()

    def add_rules(self, group: str) -> None:
        """Let it load one more group of rules."""
        document = {"groups": [dict(_GROUPS[group])]}
        write_atomic(self._rules, yaml.safe_dump(document, sort_keys=False))
        self._reload()

    def mend(self) -> None:
        """Let it load its own files again."""
        if self._sound is not None:
            write_atomic(self._configuration, self._sound)
            self._sound = None
        self._rules.unlink(missing_ok=True)
        self._reload()

    def send_old_samples(self) -> None:
        """Send it samples that are too old, until :meth:`stop_sending`."""
        self._stop.clear()
        self._sender = threading.Thread(target=self._send, name="old-samples", daemon=True)
        self._sender.start()

    def stop_sending(self) -> None:
        """Send no more."""
        self._stop.set()
        if self._sender is not None:
            self._sender.join()

    def _reload(self) -> None:
        pid = self._pid()
        if pid is not None:  # else it reads its files when it is started
            os.kill(pid, signal.SIGHUP)

    def _send(self) -> None:
        url = f"{self._url}/api/v1/otlp/v1/metrics"
        while not self._stop.wait(SENT_EVERY):
            # What it refuses in other words, its own counters don't hold.
            with suppress(httpx.TransportError):
                loopback.request("POST", url, json=self._old_point(), timeout=TIMEOUT)

    def _old_point(self) -> Mapping[str, Any]:
        nanoseconds = round((self._clock() - AGE) * 1e9)
        point = {"timeUnixNano": str(nanoseconds), "asDouble": 1.0}
        metric = {"name": "testbed.fault.old", "gauge": {"dataPoints": [point]}}
        return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
