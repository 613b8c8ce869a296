"""Structured logs: one JSON object per line, with the ids of the trace, without secrets."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO

import orjson
import structlog
from opentelemetry import trace
from testbed_domain.linefile import LineFile
from testbed_otel.names import OUTCOME
from testbed_otel.redaction import Redaction

from testbed_api.telemetry.http import REQUEST_ID_BYTES, REQUEST_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from io import RawIOBase

    from structlog.typing import EventDict, WrappedLogger
    from testbed_otel.children import SumMetricFamily

    from testbed_api.telemetry.http import Served

STDOUT: Final = "stdout"
TEXT_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
PATH_LIMIT: Final = 200
PAUSE: Final = 0.1
BATCH: Final = 500
WAITING_LIMIT: Final = 20_000
CLOSE_TIMEOUT: Final = 5.0


def add_trace(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Processor: the ids of the current trace, as W3C writes them."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
        event["trace_sampled"] = context.trace_flags.sampled
    return event


def _serialize(event: Mapping[str, Any], **_options: object) -> str:
    return orjson.dumps(event, default=str).decode()


def configure(
    *, json: bool, stream: TextIO | None = None, also: logging.Handler | None = None
) -> None:
    """Send the records of the standard library's loggers to standard error.

    Args:
        json: one object per line; else text for people.
        stream: in place of standard error.
        also: a further handler.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_json_formatter() if json else logging.Formatter(TEXT_FORMAT))
    handlers = [handler, *([also] if also else [])]
    for each in handlers:
        each.addFilter(Redaction())
    logging.basicConfig(level=logging.INFO, handlers=handlers, force=True)


def _json_formatter() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.processors.TimeStamper("iso", utc=True, key="time"),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            add_trace,
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(_serialize),
        ],
    )


Sink = Callable[["Served"], None]


class AccessLog:
    """Reports every sink of each request served.

    Neither headers nor query nor body are in a line: that is where secrets are.

    Args:
        sinks: what takes the lines.
    """

    def __init__(self, sinks: list[Sink]) -> None:
        self._sinks = sinks

    def __call__(self, served: Served) -> None:
        """Take note of one request."""
        for sink in self._sinks:
            sink(served)


def fields(served: Served) -> dict[str, Any]:
    """What the access log says of a request."""
    scope, request = served.scope, served.trace
    client = scope.get("client")
    return {
        "method": scope["method"],
        "path": scope["path"][:PATH_LIMIT],
        "route": served.route,
        "status": served.status,
        "duration": round(served.duration, 6),
        "bytes": served.size,
        "error": served.error,
        "client": client[0] if client else None,
        "request_id": _request_id(scope["headers"]),
        "trace_id": f"{request.trace_id:032x}",
        "span_id": f"{request.span_id:016x}",
        "trace_sampled": served.traced,
    }


def _request_id(headers: list[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == REQUEST_ID_BYTES:
            return value[:REQUEST_ID_LENGTH].decode("latin-1")
    return None


def line(served: Served) -> bytes:
    """One line of the access log."""
    when = datetime.fromtimestamp(served.time, UTC)
    content: dict[str, Any] = {
        "time": when,
        "level": "info",
        "logger": "access",
        "event": "request",
    }
    content.update(fields(served))
    return orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)


class LineWriter:
    """Writes the access log from a thread of its own, so that no disk holds a request up.

    What waits is bounded; a line beyond that, or one that can't be written, is counted as failed.

    Args:
        file: what the lines are appended to, some of them with one write, all of these or none.
        lines: counts lines by outcome.
        pause: seconds to gather lines for one write.
        limit: most lines that wait.
    """

    def __init__(
        self,
        file: RawIOBase | BinaryIO,
        lines: SumMetricFamily,
        pause: float = PAUSE,
        limit: int = WAITING_LIMIT,
    ) -> None:
        self._file = file
        self._written = lines.child({OUTCOME: "written"})
        self._failed = lines.child({OUTCOME: "failed"})
        self._pause = pause
        self._limit = limit
        self._waiting: deque[bytes] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access-log", daemon=True)
        self._thread.start()

    def __call__(self, served: Served) -> None:
        """Queue the line of one request."""
        if len(self._waiting) >= self._limit:
            self._failed.add(1)
        else:
            # Made into bytes now: what waits would else keep the whole request alive.
            self._waiting.append(line(served))

    def close(self) -> None:
        """Write what waits, and stop; the file stays open."""
        self._closing.set()
        self._thread.join(CLOSE_TIMEOUT)

    def _run(self) -> None:
        while not self._closing.wait(self._pause):
            self._write()
        self._write()

    def _write(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
            try:
                self._file.write(b"".join(batch))
                self._file.flush()
            except (OSError, ValueError):  # full, gone, or closed
                self._failed.add(len(batch))
            else:
                self._written.add(len(batch))


@contextlib.contextmanager
def opened(target: str | None) -> Iterator[RawIOBase | None]:
    """The file of the access log: None, ``stdout``, or a path that replicas append to together.

    Raises:
        OSError: the file can't be opened.
    """
    if target is None:
        yield None
    elif target == STDOUT:
        with LineFile(sys.stdout.fileno(), own=False) as file:
            yield file
    else:
        with LineFile.append_to(Path(target)) as file:
            yield file
