"""The page of the settings, from the classes that read them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic_settings import BaseSettings
from testbed_api.settings import ApiSettings
from testbed_drift.settings import DriftSettings
from testbed_otel import standard
from testbed_otel.aliases import ALIASES, JOBS
from testbed_otel.settings import ALIASES as ALIASES_VARIABLE
from testbed_otel.settings import JOB_NAMES as JOBS_VARIABLE
from testbed_otel.settings import SDK_METRICS, TelemetrySettings

from testbed.docs.markdown import code, codes, fence, section, table
from testbed.settings import SETTINGS_FILE, Settings
from testbed.stack import driftchoices, shell
from testbed.stack.build import CACHE_VARIABLE
from testbed.stack.releases import DEFAULT, VARIABLE

RELEASES: Final = "../decisions/0017-release-archives.md"
TITLES: Final = ("variable", "value", "default", "what")
KINDS: Final = {"string": "text", "integer": "whole number", "number": "number"}
BOUNDS: Final = (
    ("minimum", "from"),
    ("exclusiveMinimum", "above"),
    ("maximum", "to"),
    ("exclusiveMaximum", "below"),
)

TELEMETRY: Final = TelemetrySettings()
# The SDK and the telemetry package read these by name, so there is no class to ask.
OTEL: Final = (
    (
        standard.ENDPOINT,
        "URL, or `none`",
        code(TELEMETRY.endpoint),
        "Base URL of an OTLP/HTTP receiver; `none` pushes nothing.",
    ),
    (
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, `…_TRACES_ENDPOINT`, `…_LOGS_ENDPOINT",
        "URL, or `none`",
        "base URL with `/v1/metrics`, `/v1/traces`, `/v1/logs`",
        "Where one signal goes, taken as it stands.",
    ),
    (
        "OTEL_METRICS_EXPORTER",
        codes(standard.EXPORTERS["metrics"]),
        code("otlp"),
        "Whether metrics are pushed; they can be scraped whatever it says (`prometheus`).",
    ),
    (
        "OTEL_TRACES_EXPORTER",
        codes(standard.EXPORTERS["traces"]),
        code("otlp"),
        "Whether spans are pushed.",
    ),
    (
        "OTEL_LOGS_EXPORTER",
        codes(standard.EXPORTERS["logs"]),
        code("none"),
        "Whether the API sends its logs, the access log included.",
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        code("http/protobuf"),
        code("http/protobuf"),
        "Also of one signal. `grpc` and `http/json` are refused.",
    ),
    (
        "OTEL_EXPORTER_OTLP_HEADERS`, `…_CERTIFICATE`, `…_CLIENT_KEY`, `…_COMPRESSION",
        "as the specification says",
        "",
        "Also of one signal.",
    ),
    (
        "OTEL_EXPORTER_OTLP_TIMEOUT",
        "number",
        f"three quarters of the interval, at most {TELEMETRY.export_timeout * 1000:g}",
        "Milliseconds that one push may take, retries included; also of one signal.",
    ),
    (
        standard.TEMPORALITY,
        code("cumulative"),
        code("cumulative"),
        "Prometheus takes no other; `delta` and `lowmemory` are refused.",
    ),
    (
        "OTEL_METRIC_EXPORT_INTERVAL",
        "number",
        code(f"{TELEMETRY.metric_interval * 1000:g}"),
        "Milliseconds between two pushes of metrics.",
    ),
    (
        "OTEL_METRIC_EXPORT_TIMEOUT",
        "number",
        code("30000"),
        "Milliseconds after which a collection of metrics is given up.",
    ),
    (
        standard.AGGREGATION,
        code("explicit_bucket_histogram"),
        code("explicit_bucket_histogram"),
        "Buckets are those of the metric; others are refused.",
    ),
    (
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "as the specification says",
        "",
        "Left to OpenTelemetry's SDK.",
    ),
    (
        "OTEL_ATTRIBUTE_COUNT_LIMIT",
        "as the specification says",
        "",
        "Left to OpenTelemetry's SDK and instrumentation.",
    ),
    (
        "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        "as the specification says",
        "",
        "Left to OpenTelemetry's SDK and instrumentation.",
    ),
    (
        "OTEL_SEMCONV_STABILITY_OPT_IN",
        "as the specification says",
        "",
        "Left to OpenTelemetry's SDK and instrumentation.",
    ),
    (
        "OTEL_BSP_*`, `OTEL_BLRP_*",
        "as the specification says",
        "",
        "Queues of spans and of log records: milliseconds, sizes.",
    ),
    (
        standard.SAMPLER,
        codes(standard.SAMPLERS),
        code("parentbased_traceidratio"),
        "Which requests are traced. Errors and slow requests are, besides, whatever it says.",
    ),
    (
        standard.SAMPLER_RATIO,
        "number from 0 to 1",
        f"{code(TELEMETRY.trace_ratio)}; with {code(standard.SAMPLER)}: `1`",
        "Share of requests that are traced.",
    ),
    (
        standard.PROPAGATORS,
        "`tracecontext`, `baggage`, `none`",
        code("tracecontext,baggage"),
        "Whose trace context the API continues. `b3`, `jaeger` and others are refused.",
    ),
    (
        "OTEL_RESOURCE_ATTRIBUTES",
        "`key=value,…`",
        "",
        "More on who sends. `service.instance.id` is the `instance` in Prometheus.",
    ),
    ("OTEL_SERVICE_NAME", "text", "the component's own", "The `job` in Prometheus."),
    (
        "OTEL_SDK_DISABLED",
        "`true`, `false`",
        code("false"),
        "Whether nothing is measured of HTTP, and nothing pushed.",
    ),
    (
        SDK_METRICS,
        "`true`, `false`",
        code("true"),
        "Whether the SDK measures itself: what it exported, what waits, what it lost.",
    ),
    (
        ALIASES_VARIABLE,
        f"{codes(ALIASES)}, with commas",
        "",
        "Not a standard variable: shows metrics under the names of other systems as well.",
    ),
    (
        JOBS_VARIABLE,
        codes(JOBS),
        "",
        "Not a standard variable: the system whose `job` these metrics have where they are pushed.",
    ),
)


def settings() -> str:
    """The page."""
    return section(
        "# Settings",
        "`testbed settings` prints what is effective. The last one wins: default, "
        f"`{SETTINGS_FILE}` in the working directory, environment variable, option.",
        "## Command line",
        f"A setting `TESTBED_X` is `x` in `{SETTINGS_FILE}`:",
        fence('home = "/var/lib/testbed"\nstart_timeout = 600', "toml"),
        _table(Settings),
        "Variables of the caller's shell, not settings of that file:",
        table(
            TITLES,
            [
                (
                    code(CACHE_VARIABLE),
                    "path",
                    "`ml-observability-testbed` in `XDG_CACHE_HOME` or `~/.cache`",
                    "Folder of the stack's tools and of trained models, shared by all checkouts.",
                ),
                (
                    code(VARIABLE),
                    "URL, or `none`",
                    code(DEFAULT),
                    f"Site of the tools' [release archives]({RELEASES}); `none` compiles them.",
                ),
            ],
        ),
        "## API",
        "Read by `testbed serve`, `python -m testbed_api` and Compose. What is an option of "
        "`testbed serve` is taken from there only; `testbed run` and `testbed up` choose all of "
        "it themselves, and name at the start what they ignore.",
        _table(ApiSettings),
        "## Drift job",
        "Read by `testbed drift`, `python -m testbed_drift` and Compose; durations in seconds, "
        "or as 90s, 15m, 6h, 1d and 2w are. "
        "What is an option of `testbed drift` is taken from there only; `testbed run` and "
        "`testbed up` choose all but the fewest rows themselves.",
        _table(DriftSettings),
        "## OpenTelemetry",
        "The standard variables that the API and the drift job read, as `testbed serve`, `testbed "
        "drift` and `python -m` start them. The first two push nothing unless their option or a "
        "variable names an endpoint, or an exporter is `otlp`. Blank values count as not set, and "
        "words may be in capitals. What is not supported ends the start, by its name "
        "(`console`, `grpc`, `delta`, `b3`); of variables that nothing here reads, the service's "
        "log names each.",
        f"What begins with {codes(standard.TAKEN_PREFIXES)} and is not in the table is left to "
        "OpenTelemetry's SDK.",
        table(TITLES, ((code(name), *rest) for name, *rest in OTEL)),
        "## What of a shell reaches `testbed run` and `testbed up`",
        "A stack sets its components by itself, so that it is the same whatever shell it is "
        "started from: `OTEL_METRIC_EXPORT_INTERVAL=60000` or `OTEL_SDK_DISABLED=true`, which "
        "are there for other programs, change no run. The start names what it passes on and what "
        "it ignores (`OTEL_*`, `TESTBED_*`, `LOCUST_*`); `testbed settings` shows both. Settings "
        "of single components are part of a scenario (`settings:`), those of a service of its "
        "file (`environment:`).",
        table(
            ("passed on", "what it does"),
            (
                *((code(name), text) for name, text in shell.TELEMETRY.items()),
                (
                    code(f"{shell.EXPORTER}*"),
                    "the receiver, where `--without collector` leaves the run's own out",
                ),
                (codes(driftchoices.CHOICES), "the drift job"),
                (codes((driftchoices.ARTEFACTS, driftchoices.RELATIONS_ROWS)), "the drift job"),
            ),
        ),
    )


def variables(owner: type[BaseSettings]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every variable of a settings class, with the JSON Schema of its value."""
    prefix = owner.model_config["env_prefix"]
    schema = owner.model_json_schema()
    for name, field in schema["properties"].items():
        chosen: dict[str, Any] = next(
            (item for item in field.get("anyOf", ()) if item.get("type") != "null"), {}
        )
        required = name in schema.get("required", ())
        yield f"{prefix}{name}".upper(), {**field, **chosen, "required": required}


def _table(owner: type[BaseSettings]) -> str:
    rows = (
        (code(name), _value(field), _default(field), field.get("description", ""))
        for name, field in variables(owner)
    )
    return table(TITLES, rows)


def _value(field: dict[str, Any]) -> str:
    if "enum" in field:
        return codes(field["enum"])
    if field.get("type") == "boolean":
        return "`true`, `false`"
    kind = KINDS.get(field.get("type", ""), "START/END")
    words = [field["format"] if field.get("format") in {"path", "password"} else kind]
    return " ".join([*words, *(f"{word} {field[key]}" for key, word in BOUNDS if key in field)])


def _default(field: dict[str, Any]) -> str:
    if field["required"]:
        return "required"
    value = field["default"]
    if value is None:
        return ""
    return code(str(value).lower() if isinstance(value, bool) else value)
