"""Where telemetry goes, from the standard ``OTEL_*`` variables."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from testbed_otel import standard
from testbed_otel.aliases import AliasError, aliases_of, jobs_of, presets
from testbed_otel.names import SERVICE_API
from testbed_otel.standard import TelemetrySettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"
DEFAULT_RATIO: Final = 0.01
ALIASES: Final = "TESTBED_METRIC_ALIASES"
JOB_NAMES: Final = "TESTBED_JOB_NAMES"
TIMEOUT: Final = "OTEL_EXPORTER_OTLP_TIMEOUT"
LOGS_EXPORTER: Final = "OTEL_LOGS_EXPORTER"
SDK_METRICS: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
# The exporter sleeps at least 0.8 s before its first retry, and gives up at once when that would
# pass its timeout. So a timeout below 0.8 s never sleeps: the next interval sends fresh values.
MINIMUM_EXPORT_TIMEOUT: Final = 0.75
MAXIMUM_EXPORT_TIMEOUT: Final = 10.0


def logs_wanted(env: Mapping[str, str]) -> bool:
    """Whether ``OTEL_LOGS_EXPORTER`` turns logs over OTLP on; they are off by default.

    Raises:
        TelemetrySettingsError: it names another exporter.
    """
    return standard.exported(env, "logs", "none")


def enable_sdk_self_metrics(environ: MutableMapping[str, str] | None = None) -> None:
    """Let the SDK measure itself, unless the environment says otherwise.

    It reads the variable when its parts are made: call this before :func:`testbed_otel.sdk.setup`.
    """
    (os.environ if environ is None else environ).setdefault(SDK_METRICS, "true")


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Where telemetry goes, and how often.

    Attributes:
        endpoint: base URL for OTLP/HTTP, without a signal path; None pushes nothing, but for the
            signals in ``urls``.
        metric_interval: seconds between two pushes of metrics; ``inf`` pushes on flush only.
        export_timeout: seconds that one export may take, retries included.
        trace_ratio: share of the traces that are kept, 0 to 1.
        service_version: ``service.version`` of the process.
        disabled: measures nothing at all.
        aliases: systems whose metric names are shown as well, by the names of
            :data:`testbed_otel.aliases.ALIASES`.
        alias_service: ``service.name`` of these where they are pushed; None is the process's own.
        parent_based: whether a caller's decision to sample goes before the ratio.
        urls: signals with an address of their own, or with none; see :meth:`url`.
        timeouts: signals with a time-out of their own, in seconds.
    """

    endpoint: str | None = DEFAULT_ENDPOINT
    metric_interval: float = 60.0
    export_timeout: float = MAXIMUM_EXPORT_TIMEOUT
    trace_ratio: float = DEFAULT_RATIO
    service_version: str = "0"
    disabled: bool = False
    aliases: tuple[str, ...] = ()
    alias_service: str | None = None
    parent_based: bool = True
    urls: Mapping[str, str | None] = field(default_factory=dict)
    timeouts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        endpoint: str | None = None,
        service_version: str = "0",
    ) -> Self:
        """Read the standard ``OTEL_*`` variables.

        Args:
            environ: the environment; ``os.environ`` by default.
            endpoint: goes before ``OTEL_EXPORTER_OTLP_ENDPOINT``; ``none`` pushes nothing.
            service_version: ``service.version`` of the process.

        Raises:
            TelemetrySettingsError: a value can't be used; names the variable.
        """
        env = os.environ if environ is None else environ
        if standard.text(env, "OTEL_SDK_DISABLED").lower() == "true":
            return cls(endpoint=None, service_version=service_version, disabled=True)
        named = endpoint or standard.text(env, standard.ENDPOINT) or DEFAULT_ENDPOINT
        base = standard.endpoint(standard.ENDPOINT, named)
        interval = standard.number(env, "OTEL_METRIC_EXPORT_INTERVAL", 60_000, 1, math.inf) / 1000
        # A retry must not outlast the interval: then the next export has fresher values anyway.
        fitting = min(max(0.75 * interval, MINIMUM_EXPORT_TIMEOUT), MAXIMUM_EXPORT_TIMEOUT)
        ratio, parent_based = standard.sampling(env, DEFAULT_RATIO)
        return cls(
            endpoint=base,
            metric_interval=interval,
            export_timeout=standard.number(env, TIMEOUT, 1000 * fitting, 1, 3_600_000) / 1000,
            trace_ratio=ratio,
            service_version=service_version,
            aliases=_systems(env),
            alias_service=_alias_service(env),
            parent_based=parent_based,
            urls=_urls(env, base),
            timeouts=_timeouts(env, fitting),
        )

    def url(self, signal: str) -> str | None:
        """Where a signal goes, with its path; None: nowhere."""
        if signal in self.urls:
            return self.urls[signal]
        return self.endpoint and f"{self.endpoint}/v1/{signal}"

    def timeout(self, signal: str) -> float:
        """Seconds that one export of a signal may take, retries included."""
        return self.timeouts.get(signal, self.export_timeout)


def _urls(env: Mapping[str, str], base: str | None) -> dict[str, str | None]:
    """Signals that don't go to the path of their name below the base."""
    found: dict[str, str | None] = {}
    for signal in standard.SIGNALS:
        usual = base and f"{base}/v1/{signal}"
        url = standard.url(env, signal, base) if standard.exported(env, signal) else None
        if url != usual:
            found[signal] = url
    return found


def _timeouts(env: Mapping[str, str], default: float) -> dict[str, float]:
    """Signals that have a time-out of their own, in seconds."""
    return {
        signal: standard.timeout(env, signal, default)
        for signal in standard.SIGNALS
        if standard.text(env, f"OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT")
    }


def _systems(env: Mapping[str, str]) -> tuple[str, ...]:
    chosen = presets(env.get(ALIASES, ""))
    try:
        aliases_of(chosen)
    except AliasError as error:
        raise TelemetrySettingsError(f"{ALIASES}: {error}") from None
    return chosen


def _alias_service(env: Mapping[str, str]) -> str | None:
    try:
        return jobs_of(env.get(JOB_NAMES, "").strip()).get(SERVICE_API)
    except AliasError as error:
        raise TelemetrySettingsError(f"{JOB_NAMES}: {error}") from None
