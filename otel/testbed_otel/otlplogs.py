"""Log records over OTLP: a bounded queue that never holds the caller up, its losses counted.

The only module that imports OpenTelemetry's logs. The project writes their packages with an
underscore because their interface is not stable yet; its documentation names no other.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from opentelemetry._logs import Logger
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.sdk._logs import ReadableLogRecord

    from testbed_otel.exporters import Failed
    from testbed_otel.sdk import Telemetry, TelemetrySettings
    from testbed_otel.wallclock import WallClock

ACCESS: Final = "access"
SEVERITY: Final = SeverityNumber.INFO


class LogExporter(OTLPLogExporter):
    """Exports log records.

    Args:
        endpoint: URL with the path of the signal.
        timeout: seconds that one export may take.
        failed: counts what could not be exported.
        meters: for the SDK's metrics about itself.
        clock: of the process.
    """

    def __init__(
        self,
        endpoint: str,
        timeout: float,
        failed: Failed,
        meters: MeterProvider,
        clock: WallClock,
    ) -> None:
        super().__init__(endpoint, timeout=timeout, meter_provider=meters)
        self._failed = failed
        self._clock = clock

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """See the base class."""
        if self._clock.was_set:
            self._restamp(batch)
        result = super().export(batch)
        if result is not LogRecordExportResult.SUCCESS:
            self._failed.add(len(batch))
        return result

    def _restamp(self, batch: Sequence[ReadableLogRecord]) -> None:
        """Give records the times that the clock showed; each record is exported once."""
        for each in batch:
            record = each.log_record
            if record.timestamp is not None:
                record.timestamp = self._clock.shown(record.timestamp)
            if record.observed_timestamp is not None:
                record.observed_timestamp = self._clock.shown(record.observed_timestamp)


@dataclass(frozen=True, slots=True)
class OtlpLogs:
    """Sends log records.

    Attributes:
        provider: of the SDK's loggers.
        handler: takes the records of the standard library.
    """

    provider: LoggerProvider
    handler: logging.Handler
    _access: Logger

    def access(self, fields: Mapping[str, Any]) -> None:
        """Send one line of the access log; the current context gives its trace."""
        self._access.emit(
            timestamp=time.time_ns(),
            severity_number=SEVERITY,
            severity_text=SEVERITY.name,
            body="request",
            attributes={key: value for key, value in fields.items() if value is not None},
        )

    def shutdown(self) -> None:
        """Send what is queued, and stop."""
        self.provider.shutdown()


def otlp_logs(telemetry: Telemetry, settings: TelemetrySettings) -> OtlpLogs | None:
    """Logs to the endpoint of the settings; None where that is none."""
    url = settings.url("logs")
    if url is None:
        return None
    meters = telemetry.meters
    provider = LoggerProvider(telemetry.resource, shutdown_on_exit=False, meter_provider=meters)
    failed = telemetry.failed.of("logs")
    exporter = LogExporter(url, settings.timeout("logs"), failed, meters, telemetry.clock)
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter, meter_provider=meters))
    handler = LoggingHandler(logging.INFO, provider)
    # A failing export must not make records that have to be exported.
    handler.addFilter(lambda record: not record.name.startswith("opentelemetry"))
    return OtlpLogs(provider, handler, provider.get_logger(ACCESS))
