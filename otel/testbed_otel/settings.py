"""Where telemetry goes, from the standard ``OTEL_*`` variables."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from testbed_otel.aliases import AliasError, aliases_of, presets
from testbed_otel.masking import mask
from testbed_otel.urls import is_http_url

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:4318"
NO_ENDPOINT: Final = "none"
ALIASES: Final = "TESTBED_METRIC_ALIASES"
LOGS_EXPORTER: Final = "OTEL_LOGS_EXPORTER"
SAMPLER_RATIO: Final = "OTEL_TRACES_SAMPLER_ARG"
SDK_METRICS: Final = "OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED"
# The exporter sleeps at least 0.8 s before its first retry, and gives up at once when that would
# pass its timeout. So a timeout below 0.8 s never sleeps: the next interval sends fresh values.
MINIMUM_EXPORT_TIMEOUT: Final = 0.75
MAXIMUM_EXPORT_TIMEOUT: Final = 10.0


def logs_wanted(env: Mapping[str, str], *, default: bool = False) -> bool:
    """Whether ``OTEL_LOGS_EXPORTER`` turns logs over OTLP on; they are off by default."""
    return env.get(LOGS_EXPORTER, "otlp" if default else "none") == "otlp"


def enable_sdk_self_metrics(environ: MutableMapping[str, str] | None = None) -> None:
    """Let the SDK measure itself, unless the environment says otherwise.

    It reads the variable when its parts are made: call this before :func:`testbed_otel.sdk.setup`.
    """
    (os.environ if environ is None else environ).setdefault(SDK_METRICS, "true")


class TelemetrySettingsError(ValueError):
    """A setting of the telemetry that can't be used. One line that says what to do."""


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """Where telemetry goes, and how often.

    Attributes:
        endpoint: base URL for OTLP/HTTP, without a signal path; None pushes nothing.
        metric_interval: seconds between two pushes of metrics; ``inf`` pushes on flush only.
        export_timeout: seconds that one export may take, retries included.
        trace_ratio: share of the traces that are kept, 0 to 1.
        service_version: ``service.version`` of the process.
        disabled: measures nothing at all.
        aliases: systems whose metric names are shown as well, by the names of
            :data:`testbed_otel.aliases.ALIASES`.
    """

    endpoint: str | None = DEFAULT_ENDPOINT
    metric_interval: float = 60.0
    export_timeout: float = MAXIMUM_EXPORT_TIMEOUT
    trace_ratio: float = 0.01
    service_version: str = "0"
    disabled: bool = False
    aliases: tuple[str, ...] = ()

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
        if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return cls(endpoint=None, service_version=service_version, disabled=True)
        url = endpoint or env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or DEFAULT_ENDPOINT
        if url != NO_ENDPOINT and not is_http_url(url):
            raise TelemetrySettingsError(
                f"OTEL_EXPORTER_OTLP_ENDPOINT: {mask(url)!r} is neither an http(s) URL nor 'none'"
            )
        interval = _number(env, "OTEL_METRIC_EXPORT_INTERVAL", 60_000, 1, math.inf) / 1000
        # A retry must not outlast the interval: then the next export has fresher values anyway.
        fitting = min(max(0.75 * interval, MINIMUM_EXPORT_TIMEOUT), MAXIMUM_EXPORT_TIMEOUT)
        return cls(
            endpoint=None if url == NO_ENDPOINT else url.rstrip("/"),
            metric_interval=interval,
            export_timeout=_number(env, "OTEL_EXPORTER_OTLP_TIMEOUT", fitting, 0.001, 3600),
            trace_ratio=_number(env, SAMPLER_RATIO, 0.01, 0, 1),
            service_version=service_version,
            aliases=_systems(env),
        )


def _systems(env: Mapping[str, str]) -> tuple[str, ...]:
    chosen = presets(env.get(ALIASES, ""))
    try:
        aliases_of(chosen)
    except AliasError as error:
        raise TelemetrySettingsError(f"{ALIASES}: {error}") from None
    return chosen


def _number(
    env: Mapping[str, str], name: str, default: float, minimum: float, maximum: float
) -> float:
    raw = env.get(name, "").strip()
    try:
        value = float(raw) if raw else default
    except ValueError:
        value = math.nan
    if not minimum <= value <= maximum:
        raise TelemetrySettingsError(f"{name}: {raw!r} is not a number from {minimum} to {maximum}")
    return value
