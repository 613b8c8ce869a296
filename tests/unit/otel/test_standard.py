"""The standard variables do what the specification says, or are refused by name."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from testbed_otel.sdk import TelemetrySettings, setup
from testbed_otel.standard import (
    TelemetrySettingsError,
    propagated,
    pushes_nowhere,
    unsupported,
)
from testbed_otel.tracing import HeadSampler

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from testbed_domain.artefact import Artefact

    from tests.support.otlpreceiver import Receiver

BASE = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "urls"),
    [
        ({}, ("http://127.0.0.1:4318/v1/metrics", "http://127.0.0.1:4318/v1/traces")),
        ({BASE: " "}, ("http://127.0.0.1:4318/v1/metrics", "http://127.0.0.1:4318/v1/traces")),
        ({BASE: " HTTP://Box:1/ "}, ("HTTP://Box:1/v1/metrics", "HTTP://Box:1/v1/traces")),
        (
            {BASE: "none", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://m:1/in"},
            ("http://m:1/in", None),
        ),
        (
            {BASE: "http://a:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t:2/v1/traces"},
            ("http://a:1/v1/metrics", "http://t:2/v1/traces"),
        ),
        ({BASE: "http://a:1", "OTEL_METRICS_EXPORTER": "None"}, (None, "http://a:1/v1/traces")),
        (
            {BASE: "http://a:1", "OTEL_METRICS_EXPORTER": "prometheus"},
            (None, "http://a:1/v1/traces"),
        ),
        (
            {BASE: "http://a:1", "OTEL_METRICS_EXPORTER": "otlp, prometheus"},
            ("http://a:1/v1/metrics", "http://a:1/v1/traces"),
        ),
        ({BASE: "http://a:1", "OTEL_TRACES_EXPORTER": "none"}, ("http://a:1/v1/metrics", None)),
        ({BASE: "http://a:1", "OTEL_SDK_DISABLED": " TRUE "}, (None, None)),
    ],
    ids=str,
)
def test_signals_go_where_the_variables_say(
    environ: Mapping[str, str], urls: tuple[str | None, str | None]
) -> None:
    """The common endpoint gets the path of the signal, one of a signal is taken as it stands."""
    settings = TelemetrySettings.from_env(environ)
    assert (settings.url("metrics"), settings.url("traces")) == urls


def test_timeouts_are_milliseconds() -> None:
    """Of all signals, or of one."""
    settings = TelemetrySettings.from_env(
        {"OTEL_EXPORTER_OTLP_TIMEOUT": "2000", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "250"}
    )
    assert [settings.timeout(signal) for signal in ("metrics", "traces", "logs")] == [2, 0.25, 2]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, (0.01, True)),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.5"}, (0.5, True)),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, (1.0, False)),
        ({"OTEL_TRACES_SAMPLER": "Always_Off"}, (0.0, False)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.2"}, (0.2, False)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, (1.0, False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, (1.0, True)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}, (1.0, True)),
    ],
    ids=str,
)
def test_samplers_of_the_specification(
    environ: Mapping[str, str], expected: tuple[float, bool]
) -> None:
    """Each by its name; one in a hundred where nobody names any."""
    settings = TelemetrySettings.from_env(environ)
    assert (settings.trace_ratio, settings.parent_based) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_METRICS_EXPORTER", "console"),
        ("OTEL_METRICS_EXPORTER", "otlp,none"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "base2_exponential_bucket_histogram",
        ),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
    ],
)
def test_what_is_not_there_is_refused_by_name(name: str, value: str) -> None:
    """One line that says which variable to change."""
    with pytest.raises(TelemetrySettingsError, match=name):
        TelemetrySettings.from_env({name: value})


def test_form_of_an_export_is_not_asked_where_nothing_is_exported() -> None:
    """A shell that names gRPC for other programs ends no command that pushes nothing."""
    environ = {BASE: "none", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    assert TelemetrySettings.from_env(environ).url("metrics") is None


def test_propagators_are_checked_by_name() -> None:
    """Those of W3C are there; others are refused."""
    assert propagated({})
    assert propagated({"OTEL_PROPAGATORS": " TraceContext , baggage"})
    assert not propagated({"OTEL_PROPAGATORS": "none"})
    assert not propagated({"OTEL_PROPAGATORS": "baggage"})
    with pytest.raises(TelemetrySettingsError, match="OTEL_PROPAGATORS: b3"):
        propagated({"OTEL_PROPAGATORS": "tracecontext,b3"})


def test_head_sampler_follows_them() -> None:
    """A caller's decision is taken over, unless the sampler or the propagators say otherwise."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = [(b"traceparent", f"00-{trace}-b7ad6b7169203331-01".encode())]
    source = random.Random(1)  # noqa: S311 - ids have to be unlike, not secret
    assert HeadSampler(0.0001, source).choose(headers).sampled
    by_ratio = HeadSampler(0.0001, source, parent_based=False).choose(headers)
    assert (f"{by_ratio.trace_id:032x}", by_ratio.sampled) == (trace, False)
    own = HeadSampler(0.0001, source, propagated=False).choose(headers)
    assert f"{own.trace_id:032x}" != trace


def test_traces_leave_without_metrics(receiver: Receiver) -> None:
    """``OTEL_METRICS_EXPORTER=none`` ends the push of metrics, and nothing else."""
    environ = {
        BASE: receiver.url,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_TRACES_SAMPLER": "always_on",
    }
    telemetry = setup("ml-api", TelemetrySettings.from_env(environ))
    assert telemetry.traced
    telemetry.tracer("test").start_span("work").end()
    telemetry.shutdown()
    assert receiver.spans() == ["work"]
    assert not receiver.metrics


def test_what_nobody_reads_is_named() -> None:
    """Of the standard and of its implementations, by name."""
    environ = {
        "OTEL_CONFIG_FILE": "otel.yaml",
        "OTEL_EXPORTER_PROMETHEUS_PORT": "9464",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "OTEL_EXPORTER_ZIPKIN_ENDPOINT": " ",
        BASE: "http://a:1",
    }
    assert unsupported(environ) == ["OTEL_CONFIG_FILE", "OTEL_EXPORTER_PROMETHEUS_PORT"]


def test_a_receiver_is_wanted_by_address_or_by_exporter() -> None:
    """Commands that push nothing by default do once somebody asks."""
    assert pushes_nowhere({BASE: " ", "OTEL_METRICS_EXPORTER": "none"})
    assert not pushes_nowhere({BASE: "http://a:1"})
    assert not pushes_nowhere({"OTEL_TRACES_EXPORTER": "otlp"})


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_PROPAGATORS", "b3"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
)
@pytest.mark.slow
def test_service_says_in_one_line_what_it_refuses(
    small_artefact: Artefact, tmp_path: Path, name: str, value: str
) -> None:
    """Exit 2, and no traceback of a library that was imported with it."""
    done = subprocess.run(
        (sys.executable, "-m", "testbed_api"),
        cwd=tmp_path,
        env={
            "TESTBED_API_ARTEFACT": str(small_artefact.path),
            "TESTBED_API_LOG_URL": "none",
            "TESTBED_API_PORT": "0",
            "TESTBED_API_MANAGEMENT_PORT": "0",
            name: value,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {name}: {value} is not supported")
