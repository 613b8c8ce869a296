"""Where the access log of the process goes: a file, a receiver of OTLP, both or neither."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from testbed_api.errors import PREFIX, SettingsError
from testbed_api.telemetry.logs import AccessLog, LineWriter, Sink, fields, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import RawIOBase

    from testbed_otel.children import SumMetricFamily
    from testbed_otel.otlplogs import OtlpLogs

    from testbed_api.settings import ApiSettings


class AccessLogs(NamedTuple):
    """Where the access log goes; None where it doesn't."""

    file: RawIOBase | None
    remote: OtlpLogs | None


@contextlib.contextmanager
def access_file(settings: ApiSettings) -> Iterator[RawIOBase | None]:
    """The file of the access log, open; None where there is none.

    Raises:
        SettingsError: it can't be written.
    """
    try:
        with opened(settings.access_log) as file:
            yield file
    except OSError as error:
        raise SettingsError(f"{PREFIX}ACCESS_LOG: {error.strerror}") from None


@contextlib.contextmanager
def access_log(logs: AccessLogs, lines: SumMetricFamily) -> Iterator[AccessLog | None]:
    """The access log, whose last lines are written at the end; None where it goes nowhere."""
    sinks: list[Sink] = []
    remote = logs.remote
    if remote is not None:
        sinks.append(lambda served: remote.access(fields(served)))
    with contextlib.ExitStack() as stack:
        if logs.file is not None:
            writer = LineWriter(logs.file, lines)
            stack.callback(writer.close)
            sinks.append(writer)
        yield AccessLog(sinks) if sinks else None
