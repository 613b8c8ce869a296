"""The standard ``OTEL_*`` variables, as the OpenTelemetry specification defines them.

What can't be done is refused by name, before anything is measured: a variable that is taken for
obeyed and isn't costs more than a start that says so. Values that are blank count as not set, and
words may be written in capitals, as the specification asks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from testbed_otel.masking import mask
from testbed_otel.urls import is_http_url

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

SIGNALS: Final = ("metrics", "traces", "logs")
NO_ENDPOINT: Final = "none"
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROPAGATORS: Final = "OTEL_PROPAGATORS"
SAMPLER: Final = "OTEL_TRACES_SAMPLER"
SAMPLER_RATIO: Final = "OTEL_TRACES_SAMPLER_ARG"
TEMPORALITY: Final = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
AGGREGATION: Final = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"

EXPORTERS: Final = {
    "metrics": ("otlp", "prometheus", "none"),
    "traces": ("otlp", "none"),
    "logs": ("otlp", "none"),
}
"""What a signal may be exported by. Metrics are always there to be scraped (``prometheus``)."""

SAMPLERS: Final = {
    "always_on": (1.0, False),
    "always_off": (0.0, False),
    "traceidratio": (None, False),
    "parentbased_always_on": (1.0, True),
    "parentbased_always_off": (0.0, True),
    "parentbased_traceidratio": (None, True),
}
"""Sampler to its ratio (None: ``OTEL_TRACES_SAMPLER_ARG``), and whether a caller's decision goes
before it."""

TAKEN: Final = frozenset(
    (
        *("OTEL_SDK_DISABLED", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", PROPAGATORS),
        *(SAMPLER, SAMPLER_RATIO, "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_METRIC_EXPORT_TIMEOUT"),
        *("OTEL_METRICS_EXEMPLAR_FILTER", TEMPORALITY, AGGREGATION),
        *(f"OTEL_{signal.upper()}_EXPORTER" for signal in SIGNALS),
        *("OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        *("OTEL_SEMCONV_STABILITY_OPT_IN",),
    )
)
"""Variables that are read here, by the SDK or by the standard instrumentation."""
TAKEN_PREFIXES: Final = (
    *("OTEL_EXPORTER_OTLP_", "OTEL_BSP_", "OTEL_BLRP_", "OTEL_SPAN_", "OTEL_EVENT_", "OTEL_LINK_"),
    *("OTEL_LOGRECORD_", "OTEL_PYTHON_", "OTEL_INSTRUMENTATION_HTTP_"),
)


class TelemetrySettingsError(ValueError):
    """A setting of the telemetry that can't be used. One line that says what to do."""


def text(env: Mapping[str, str], name: str) -> str:
    """A variable without blanks around it; empty where it is not set."""
    return env.get(name, "").strip()


def signal_text(env: Mapping[str, str], signal: str, what: str) -> tuple[str, str]:
    """Name and value of ``OTEL_EXPORTER_OTLP_<SIGNAL>_<WHAT>``, else of the one for all signals."""
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_{what}"
    if value := text(env, own):
        return own, value
    common = f"OTEL_EXPORTER_OTLP_{what}"
    return common, text(env, common)


def number(
    env: Mapping[str, str], name: str, default: float, minimum: float, maximum: float
) -> float:
    """A variable that is a number.

    Raises:
        TelemetrySettingsError: it is none, or out of bounds.
    """
    raw = text(env, name)
    try:
        value = float(raw) if raw else default
    except ValueError:
        value = math.nan
    if not minimum <= value <= maximum:
        raise TelemetrySettingsError(f"{name}: {raw!r} is not a number from {minimum} to {maximum}")
    return value


def exported(env: Mapping[str, str], signal: str, default: str = "otlp") -> bool:
    """Whether a signal is exported over OTLP, as ``OTEL_<SIGNAL>_EXPORTER`` says.

    Raises:
        TelemetrySettingsError: it names an exporter that is not there.
    """
    name = f"OTEL_{signal.upper()}_EXPORTER"
    return "otlp" in _words(name, text(env, name) or default, EXPORTERS[signal])


def url(env: Mapping[str, str], signal: str, base: str | None) -> str | None:
    """Where a signal goes over OTLP/HTTP, with the path of the signal; None: nowhere.

    Args:
        env: the environment.
        signal: of :data:`SIGNALS`.
        base: URL of the receiver of all signals, without a path of the signal.

    Raises:
        TelemetrySettingsError: the URL, the protocol or, of metrics, the form is not supported.
    """
    own = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
    # As it stands, says the specification; only the common one gets the path of the signal.
    found = endpoint(own, text(env, own)) if text(env, own) else base and f"{base}/v1/{signal}"
    if found is None:
        return None
    for what, known in (("PROTOCOL", ("http/protobuf",)), ("COMPRESSION", _COMPRESSIONS)):
        name, value = signal_text(env, signal, what)
        _words(name, value or known[0], known)
    if signal == "metrics":
        _words(TEMPORALITY, text(env, TEMPORALITY) or "cumulative", ("cumulative",))
        explicit = "explicit_bucket_histogram"
        _words(AGGREGATION, text(env, AGGREGATION) or explicit, (explicit,))
    return found


_COMPRESSIONS: Final = ("none", "gzip", "deflate")


def endpoint(name: str, value: str) -> str | None:
    """A URL without a slash at its end; None for ``none``.

    Raises:
        TelemetrySettingsError: it is neither.
    """
    if value.lower() == NO_ENDPOINT:
        return None
    if not is_http_url(value):
        raise TelemetrySettingsError(
            f"{name}: {mask(value)!r} is neither an http(s) URL nor '{NO_ENDPOINT}'"
        )
    return value.rstrip("/")


def pushes_nowhere(env: Mapping[str, str]) -> bool:
    """Whether no variable names a receiver, nor asks for one by ``otlp``.

    For commands that push nothing unless somebody wants it; the specification's default is a
    receiver on this machine.
    """
    wanted = (text(env, f"OTEL_{signal.upper()}_EXPORTER").lower() for signal in SIGNALS)
    return not text(env, ENDPOINT) and "otlp" not in wanted


def timeout(env: Mapping[str, str], signal: str, default: float) -> float:
    """Seconds that one export may take; the variables are in milliseconds.

    Raises:
        TelemetrySettingsError: it is not such a number.
    """
    name, _ = signal_text(env, signal, "TIMEOUT")
    return number(env, name, 1000 * default, 1, 3_600_000) / 1000


def sampling(env: Mapping[str, str], default: float) -> tuple[float, bool]:
    """Share of the traces that are sampled, and whether a caller's decision goes before it.

    Args:
        env: the environment.
        default: the share where no sampler and no share is set.

    Raises:
        TelemetrySettingsError: the sampler is unknown, or the share is not one.
    """
    chosen = text(env, SAMPLER)
    [name] = _words(SAMPLER, chosen or "parentbased_traceidratio", tuple(SAMPLERS), several=False)
    fixed, parent_based = SAMPLERS[name]
    if fixed is not None:
        return fixed, parent_based
    # Of a sampler that is named, the specification's default holds.
    return number(env, SAMPLER_RATIO, 1.0 if chosen else default, 0, 1), parent_based


def propagated(env: Mapping[str, str]) -> bool:
    """Whether a caller's W3C trace context is continued.

    To be asked before OpenTelemetry's instrumentation is imported, which fails on one it lacks.

    Raises:
        TelemetrySettingsError: a propagator is not there, as those of B3 and Jaeger.
    """
    known = ("tracecontext", "baggage", "none")
    return "tracecontext" in _words(
        PROPAGATORS, text(env, PROPAGATORS) or "tracecontext,baggage", known
    )


def unsupported(env: Mapping[str, str]) -> list[str]:
    """Names of ``OTEL_*`` variables that are set and that nothing here reads; sorted."""
    return sorted(
        name
        for name, value in env.items()
        if name.startswith("OTEL_")
        and value.strip()
        and name not in TAKEN
        and not name.startswith(TAKEN_PREFIXES)
    )


def _words(
    name: str, value: str, known: Collection[str], *, several: bool = True
) -> tuple[str, ...]:
    parts = value.split(",") if several else [value]
    found = tuple(filter(None, (part.strip().lower() for part in parts)))
    if wrong := [word for word in found if word not in known]:
        raise TelemetrySettingsError(
            f"{name}: {', '.join(wrong)} is not supported here; choose of {', '.join(known)}"
        )
    if not found or (len(found) > 1 and "none" in found):
        raise TelemetrySettingsError(f"{name}: {value!r} contradicts itself")
    return found
