"""Logs: JSON with the trace's ids, no secrets, and never in a request's way."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context, trace
from testbed_api.telemetry import logs
from testbed_api.telemetry.http import Served
from testbed_otel import names
from testbed_otel.children import SumMetricFamily
from testbed_otel.masking import MASK
from testbed_otel.tracing import RequestTrace, UnsampledSpan

from tests.support.polling import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cr3t-marker"  # noqa: S105 - what must not be found
REQUEST = RequestTrace(0xABC, 0xDEF, sampled=False)


@pytest.fixture
def _root() -> Iterator[None]:
    """Puts the root logger back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _fail(error: Exception) -> None:
    raise error


def _served(**more: Any) -> Served:  # noqa: ANN401 - parts of a scope
    headers = [(b"authorization", SECRET.encode()), (b"x-request-id", b"r-1")]
    scope = {"method": "POST", "path": "/predict", "query_string": SECRET.encode()}
    scope |= {"headers": headers, "client": ("10.0.0.1", 5), **more}
    return Served(scope, "/predict", 200, 0.0123456789, None, 17, REQUEST, False, 1000.5)  # noqa: FBT003 - positional as it is


@pytest.mark.usefixtures("_root")
def test_record_is_one_json_object_with_its_trace() -> None:
    """Also inside of a request that isn't sampled, and with a traceback."""
    stream = io.StringIO()
    logs.configure(json=True, stream=stream)
    token = context.attach(trace.set_span_in_context(UnsampledSpan(REQUEST)))
    try:
        _fail(RuntimeError("a bug"))
    except RuntimeError:
        logging.getLogger("x").exception("it failed: %s", 5)
    finally:
        context.detach(token)
    found = json.loads(stream.getvalue())
    assert (found["event"], found["level"], found["logger"]) == ("it failed: 5", "error", "x")
    assert (found["trace_id"], found["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")
    assert found["exception"].endswith("RuntimeError: a bug")


@pytest.mark.usefixtures("_root")
@pytest.mark.parametrize("as_json", [True, False])
@pytest.mark.parametrize(
    "message",
    [
        f"cannot reach postgresql://me:{SECRET}@db/x",
        f"Authorization: Bearer {SECRET}",
        f"api_key={SECRET}&x=1",
        f'{{"password": "{SECRET}"}}',
    ],
)
def test_secrets_are_masked(message: str, as_json: bool) -> None:  # noqa: FBT001 - a parameter
    """In messages, in their arguments and in tracebacks."""
    stream = io.StringIO()
    logs.configure(json=as_json, stream=stream)
    logger = logging.getLogger("x")
    logger.error("%s", message)
    try:
        _fail(OSError(message))
    except OSError:
        logger.exception("failed")
    assert SECRET not in stream.getvalue()
    assert stream.getvalue().count(MASK) >= 2
    assert "failed" in stream.getvalue()


def test_line_says_what_happened_and_nothing_secret() -> None:
    """Headers and query are not in the access log."""
    raw = logs.line(_served())
    assert SECRET.encode() not in raw
    found = json.loads(raw)
    assert found["time"] == "1970-01-01T00:16:40.500000+00:00"
    expected = {"method": "POST", "route": "/predict", "status": 200, "duration": 0.012346}
    expected |= {"bytes": 17, "request_id": "r-1", "trace_id": f"{0xABC:032x}", "error": None}
    assert {key: found[key] for key in expected} == expected


def test_path_without_end_is_cut() -> None:
    """A line doesn't grow with the request."""
    assert len(logs.line(_served(path="/" * 10_000))) < 1000


class _Disk(io.BytesIO):
    """A file that can be held up, and be full."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()
        self.full = False

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        self.reached.set()
        assert self.gate.wait(PATIENCE)
        if self.full:
            raise OSError("no space left")
        return super().write(data)


def _outcomes(lines: SumMetricFamily) -> dict[str, int]:
    return {dict(key)["outcome"]: child.value for key, child in lines.children()}  # type: ignore[misc]


def test_lines_are_all_written_at_the_end() -> None:
    """What waits when the process ends is in the file."""
    disk, lines = _Disk(), SumMetricFamily(names.ACCESS_LOG_LINES)
    writer = logs.LineWriter(disk, lines, pause=3600)
    for _ in range(1_200):
        writer(_served())
    writer.close()
    assert len(disk.getvalue().splitlines()) == 1_200
    assert _outcomes(lines) == {"written": 1_200, "failed": 0}


def test_disk_that_hangs_holds_nobody_up() -> None:
    """Lines wait up to a limit; those beyond are counted, and the caller goes on."""
    disk, lines = _Disk(), SumMetricFamily(names.ACCESS_LOG_LINES)
    disk.gate.clear()
    writer = logs.LineWriter(disk, lines, pause=0.001, limit=10)
    writer(_served())
    assert disk.reached.wait(PATIENCE)
    for _ in range(15):
        writer(_served())
    assert _outcomes(lines) == {"written": 0, "failed": 5}
    disk.gate.set()
    writer.close()
    assert _outcomes(lines) == {"written": 11, "failed": 5}


def test_full_disk_is_counted() -> None:
    """Lines that can't be written are lost, but not unseen."""
    disk, lines = _Disk(), SumMetricFamily(names.ACCESS_LOG_LINES)
    disk.full = True
    writer = logs.LineWriter(disk, lines, pause=3600)
    writer(_served())
    writer.close()
    assert _outcomes(lines) == {"written": 0, "failed": 1}
