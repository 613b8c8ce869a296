"""Defects of the API that its telemetry tells truly: only what a user asserts can find them."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any, Final

from opentelemetry.sdk.trace import Span
from testbed_api.errors import ApiError
from testbed_api.serving.runtime import OnnxRuntime
from testbed_api.serving.service import Service

from testbed.selftest.patches.tools import Every, wrap

SECONDS: Final = 0.02
AFTER: Final = 15.0
BUSY: Final = 3.5


def slow() -> None:
    """Every prediction takes 20 ms more."""

    def reply(original: Any, service: Any, *rest: Any) -> Any:
        time.sleep(SECONDS)
        return original(service, *rest)

    wrap(Service, "_reply", reply)


def inference() -> None:
    """Every inference takes 10 ms more."""

    def predict(original: Any, runtime: Any, batch: Any) -> Any:
        time.sleep(SECONDS / 2)
        return original(runtime, batch)

    wrap(OnnxRuntime, "predict", predict)


def unavailable() -> None:
    """One prediction in fifty fails, and is counted so."""
    chosen = Every(50)

    def fail(original: Any, service: Any, *rest: Any) -> Any:
        if chosen():
            raise ApiError(500, "other", "planted")
        return original(service, *rest)

    wrap(Service, "_begin", fail)


def traceback() -> None:
    """A traceback is printed, as of a task that nobody waits for."""
    text = "Traceback (most recent call last):\nValueError: planted\n"
    later = threading.Timer(AFTER, sys.stderr.write, (text,))
    later.daemon = True
    later.start()


def busy() -> None:
    """The event loop does nothing else for some seconds, once."""
    first = threading.Event()
    began = time.monotonic()

    def reply(original: Any, service: Any, *rest: Any) -> Any:
        if not first.is_set() and time.monotonic() > began + AFTER:
            first.set()
            end = time.monotonic() + BUSY
            while time.monotonic() < end:
                pass
        return original(service, *rest)

    wrap(Service, "_reply", reply)


def path_hidden() -> None:
    """Spans bear no path, only the root of the server."""

    def end(original: Any, span: Any, *rest: Any, **options: Any) -> None:
        if span.end_time is None:  # a second end would be warned of
            span.set_attribute("url.path", "/")
        original(span, *rest, **options)

    wrap(Span, "end", end)
