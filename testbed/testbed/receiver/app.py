"""The receiver's HTTP side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from jinja2 import Environment
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from testbed.receiver.otlp import BoundedFile, Line, log_records, spans
from testbed.receiver.record import NotificationRecorder, PayloadError, notifications

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

_PAGE: Final = Environment(autoescape=True).from_string("""\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<title>Alert notifications</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem }
  table { border-collapse: collapse; width: 100% }
  th, td { border-bottom: 1px solid #ddd; padding: .4rem .6rem; text-align: left }
  .firing { color: #b00020 } .resolved { color: #1b7f3b }
</style>
<h1>Alert notifications</h1>
{% if rows %}
<table>
  <tr><th>Received (UTC)</th><th>Status</th><th>Alert</th><th>Severity</th><th>What</th></tr>
  {% for at, each in rows %}
  <tr>
    <td>{{ at }}</td><td class="{{ each.status }}">{{ each.status }}</td>
    <td>{{ each.alertname }}</td><td>{{ each.labels.severity }}</td>
    <td>{{ each.annotations.summary }}<br><small>{{ each.annotations.description }}</small></td>
  </tr>
  {% endfor %}
</table>
{% else %}
<p>None so far. Alertmanager posts to <code>/notifications</code>; this page reloads itself.</p>
{% endif %}
</html>
""")


def _moment(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


@dataclass(frozen=True, slots=True)
class OtlpSignals:
    """Where spans and log records go, as OTLP in JSON; None takes none.

    Attributes:
        traces: file of the spans.
        log_records: file of the log records.
    """

    traces: BoundedFile | None = None
    log_records: BoundedFile | None = None

    def routes(self, clock: Callable[[], float]) -> list[Route]:
        """The paths to which OTLP posts them."""
        return [
            Route(path, _sink(file, read, clock), methods=["POST"])
            for path, file, read in (
                ("/v1/traces", self.traces, spans),
                ("/v1/logs", self.log_records, log_records),
            )
            if file is not None
        ]


def _sink(
    file: BoundedFile,
    read: Callable[[bytes, float], list[Line]],
    clock: Callable[[], float],
) -> Callable[[Request], Awaitable[Response]]:
    async def take(request: Request) -> Response:
        try:
            file.add(read(await request.body(), clock()))
        except PayloadError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        except OSError as error:
            return PlainTextResponse(f"cannot record, try again: {error}\n", status_code=503)
        return JSONResponse({})

    return take


def create_app(
    recorder: NotificationRecorder, clock: Callable[[], float], signals: OtlpSignals | None = None
) -> Starlette:
    """The receiver.

    Args:
        recorder: where notifications go.
        clock: Unix time in seconds.
        signals: where spans and log records go; without, they are not taken.
    """

    async def take(request: Request) -> Response:
        body = await request.body()
        try:
            arrived = notifications(body, clock())
        except PayloadError as error:
            return PlainTextResponse(f"{error}\n", status_code=400)
        try:
            recorder.add(arrived)
        except OSError as error:
            return PlainTextResponse(f"cannot record, try again: {error}\n", status_code=503)
        return JSONResponse({"recorded": len(arrived)})

    async def give(_: Request) -> Response:
        return JSONResponse([each.model_dump() for each in recorder.recent])

    async def page(_: Request) -> Response:
        rows = [(_moment(each.received_at), each) for each in reversed(recorder.recent)]
        return HTMLResponse(_PAGE.render(rows=rows))

    async def ready(_: Request) -> Response:
        return PlainTextResponse("ready\n")

    return Starlette(
        routes=[
            Route("/", page),
            Route("/notifications", take, methods=["POST"]),
            Route("/notifications", give),
            Route("/health/ready", ready),
            *(signals or OtlpSignals()).routes(clock),
        ]
    )
