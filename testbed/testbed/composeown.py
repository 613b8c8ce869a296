"""The services of ``docker-compose.yml`` that run this project's own images."""

from __future__ import annotations

from typing import Any, Final

from testbed_api.errors import PREFIX
from testbed_api.ops.replicas import STOP_SLACK
from testbed_api.settings import ApiSettings
from testbed_load.command import KEY_VARIABLE
from testbed_otel import names
from testbed_otel.settings import ALIASES, JOB_NAMES

from testbed.composebasics import (
    ARTEFACT,
    CONFIGURATION,
    CONFIGURED,
    HARDENED,
    LOG_URL,
    PROFILES,
    READ_ONLY,
    RECEIVED,
    STATE,
    TARGETS,
    TIME_SCALE,
    Service,
    after,
    choice,
    given_file,
    health,
    limited,
    probe,
    publish,
    secret_file,
)
from testbed.settings import Settings
from testbed.stack import driftchoices
from testbed.stack.attached import JOURNAL
from testbed.stack.environments import (
    BATCH_DELAY,
    DRIFT_INTERVAL,
    DRIFT_WINDOW,
    EXPORT_INTERVAL,
    RETRAIN_COOLDOWN,
)

PROJECT: Final = "ml-observability-testbed"
WORKSPACE: Final = f"{STATE}/drift/workspace"
LOCUSTFILE: Final = "/app/loadtest/testbed_load/locustfile.py"
USE_CASE: Final = choice("TESTBED_USE_CASE", "diabetes")
TOKEN: Final = "management_token"  # noqa: S105 - the name of a secret
KEYS: Final = "api_keys"
LOAD_KEY: Final = "load_key"

# Settings of the API that whoever starts Compose may choose, with the API's own defaults. The
# others belong to the containers' layout, or need files that only an own mount can bring.
CHOICES: Final = (
    "threads",
    "replicas",
    "log_failure",
    "log_spool_limit",
    "log_retention_days",
    "faults_enabled",
    "body_limit",
    "batch_limit",
    "labels_limit",
    "docs_enabled",
    "batching",
    "batch_rows",
    "batch_wait",
    "queue_rows",
    "deadline",
    "cache_size",
    "public_metrics",
    "monitoring_test_enabled",
    "log_format",
    "access_log",
    "slow_seconds",
)
DRIFT_CHOICES: Final = {
    "TESTBED_DRIFT_INTERVAL": f"{DRIFT_INTERVAL:g}",
    "TESTBED_DRIFT_WINDOW": f"{DRIFT_WINDOW:g}",
    "TESTBED_DRIFT_MIN_ROWS": str(Settings.model_fields["drift_min_rows"].default),
    "TESTBED_DRIFT_LEVEL": "",
    "TESTBED_DRIFT_WINDOW_ROWS": "",
    "TESTBED_DRIFT_WINDOW_EVERY": "",
    "TESTBED_DRIFT_WINDOW_LAG": "",
    "TESTBED_DRIFT_RELATIONS_ROWS": "",
    "TESTBED_DRIFT_KEEP_DAYS": "30",
    "TESTBED_DRIFT_ON_RETRAIN": "off",
    "TESTBED_DRIFT_RETRAIN_COOLDOWN": f"{RETRAIN_COOLDOWN:g}",
    "TESTBED_DRIFT_MANAGEMENT_URLS": "http://api:9464",
    "MLFLOW_TRACKING_URI": "",
    **dict.fromkeys(driftchoices.CHOICES, ""),
}
"""What may be chosen of the drift job, and what holds else; empty is the job's own default."""


def _built(target: str, memory: str, **more: Any) -> Service:  # noqa: ANN401 - Compose's own values
    """A service of this project: one target of the Dockerfile, without any privilege.

    Those of the same target share its image.
    """
    return {
        "image": f"{PROJECT}-{target}",
        "build": {"context": ".", "target": target},
        "init": True,
        **HARDENED,
        "restart": "unless-stopped",
        **limited(memory),
        **more,
    }


def _telemetry(service: str, instance: str) -> dict[str, str]:
    ratio = Settings.model_fields["trace_ratio"].default
    aliases = Settings.model_fields["metric_aliases"].default
    delay = f"{BATCH_DELAY * 1000:.0f}"
    return {
        "OTEL_SERVICE_NAME": service,
        "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={instance}",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        "OTEL_METRIC_EXPORT_INTERVAL": choice(
            "OTEL_METRIC_EXPORT_INTERVAL", f"{EXPORT_INTERVAL * 1000:.0f}"
        ),
        "OTEL_BSP_SCHEDULE_DELAY": choice("OTEL_BSP_SCHEDULE_DELAY", delay),
        "OTEL_BLRP_SCHEDULE_DELAY": choice("OTEL_BLRP_SCHEDULE_DELAY", delay),
        "OTEL_TRACES_SAMPLER_ARG": choice("OTEL_TRACES_SAMPLER_ARG", ratio),
        ALIASES: f"${{{ALIASES}-{aliases}}}",  # empty shows none
        JOB_NAMES: choice(JOB_NAMES),
    }


def choices() -> dict[str, str]:
    """Variables of :data:`CHOICES`, each with the default of the API."""
    fields = ApiSettings.model_fields
    return {
        name: choice(name, _text(fields[field].default))
        for field in CHOICES
        for name in (f"{PREFIX}{field.upper()}",)
    }


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _grace() -> str:
    """Time that the API may need to end: its own deadline, and that of its supervisor."""
    fields = ApiSettings.model_fields
    own = fields["shutdown_seconds"].default + fields["linger_seconds"].default
    return f"{own + STOP_SLACK + 2:.0f}s"


def api() -> Service:
    """The prediction service."""
    return _built(
        "api",
        choice("TESTBED_API_MEMORY", "1g"),
        cpus=choice("TESTBED_API_CPUS", "1.0"),
        # Containers have names of Compose's making; recipes for cAdvisor ask for this one.
        labels={"testbed.name": "ml-api"},
        environment=_telemetry(names.SERVICE_API, "api")
        | {
            "TESTBED_API_ARTEFACT": ARTEFACT,
            "TESTBED_API_HOST": "0.0.0.0",  # noqa: S104 - inside the container
            "TESTBED_API_PORT": "8000",
            "TESTBED_API_MANAGEMENT_HOST": "0.0.0.0",  # noqa: S104 - the same; not published
            "TESTBED_API_MANAGEMENT_PORT": "9464",
            "TESTBED_API_MANAGEMENT_NAMES": "api",
            "TESTBED_API_MANAGEMENT_TOKEN_FILE": secret_file(TOKEN),
            # Empty, and so unset, without keys.
            "TESTBED_API_KEYS_FILE": given_file("TESTBED_API_KEYS_FILE", KEYS),
            "TESTBED_API_LOG_URL": LOG_URL,
            "TESTBED_API_LOG_SPOOL": f"{STATE}/spool",
            "TESTBED_API_VERSIONS_FILE": f"{STATE}/spool/versions.json",
            "TESTBED_API_TARGETS_FOLDER": TARGETS,
            "TESTBED_API_REPLICAS_FILE": f"{TARGETS}/{JOURNAL}",
            "OTEL_LOGS_EXPORTER": choice("OTEL_LOGS_EXPORTER", "none"),
        }
        | choices(),
        secrets=[TOKEN, "postgres_password", KEYS],
        volumes=[f"models:{STATE}/models:ro", f"spool:{STATE}/spool", f"targets:{TARGETS}"],
        ports=[publish("API", 8000)],
        healthcheck=probe(9464, "/health/ready"),
        stop_grace_period=_grace(),
        depends_on=after(train="completed_successfully", postgres="healthy", collector="started"),
    )


def train() -> Service:
    """One shot: puts the model into a volume; the API puts its reference rows into the log."""
    return _built(
        "testbed",
        "2g",
        **READ_ONLY,
        command=["testbed", "train", "--use-case", USE_CASE, "--out", ARTEFACT],
        environment={"TESTBED_MODEL_SEED": choice("TESTBED_MODEL_SEED", 0)},
        volumes=[f"models:{STATE}/models"],
        restart="no",
    )


def configuration(variables: dict[str, str]) -> Service:
    """One shot: renders the configuration of the tools into a volume.

    Args:
        variables: what a scenario must know that the stack was started with.
    """
    return _built(
        "testbed",
        "512m",
        **READ_ONLY,
        command=["python", "-m", "testbed.stack.composeconfiguration", CONFIGURATION],
        environment=variables
        | {
            TIME_SCALE: choice(TIME_SCALE, 1),
            PROFILES: choice(PROFILES),
            JOB_NAMES: choice(JOB_NAMES),
            "TESTBED_PORT_NODE_EXPORTER": choice("TESTBED_PORT_NODE_EXPORTER", 9100),
        },
        volumes=[CONFIGURED.removesuffix(":ro")],
        restart="no",
    )


def drift() -> Service:
    """The drift job."""
    return _built(
        "drift",
        "2g",
        environment=_telemetry(names.SERVICE_DRIFT, "drift-1")
        | {
            "TESTBED_DRIFT_ARTEFACT": ARTEFACT,
            "TESTBED_DRIFT_LOG_URL": LOG_URL,
            "TESTBED_DRIFT_OUTPUT": f"{STATE}/drift",
            "TESTBED_DRIFT_WORKSPACE": WORKSPACE,
            "TESTBED_DRIFT_MANAGEMENT_TOKEN_FILE": secret_file(TOKEN),
            "TESTBED_DRIFT_MODELS": f"{STATE}/models/retrained",
            driftchoices.ARTEFACTS: f"{STATE}/models/retrained",
        }
        | {name: choice(name, default) for name, default in DRIFT_CHOICES.items()},
        secrets=[TOKEN, "postgres_password"],
        # It writes models too: those that RETRAIN makes, which the API loads from there.
        volumes=[
            f"models:{STATE}/models",
            f"drift:{STATE}/drift",
            f"textfiles:{STATE}/textfiles",  # of one-shot runs, for node_exporter
        ],
        # Healthy once a first run has ended; that later ones do is what DriftJobStale watches.
        healthcheck=health("test", "-s", f"{STATE}/drift/runs.jsonl"),
        stop_grace_period="30s",
        depends_on=after(api="healthy", collector="started"),
    )


def flow() -> Service:
    """Compares months of the prediction log: ``docker compose run --rm flow --month 2024-02``."""
    months = f"{STATE}/months"
    return _built(
        "flow",
        "2g",
        # What the drift job says of the same model stays its own: nothing is pushed unless asked.
        entrypoint=["python", "-m", "testbed_drift.flow", "--otlp-endpoint", "none"],
        command=[],
        environment={
            "TESTBED_DRIFT_ARTEFACT": ARTEFACT,
            "TESTBED_DRIFT_LOG_URL": LOG_URL,
            "REPORT_DIR": months,
            # Empty has the flow start a server of its own.
            "PREFECT_API_URL": "${PREFECT_API_URL-http://prefect:4200/api}",
        },
        secrets=["postgres_password"],
        profiles=["flow"],
        volumes=[f"models:{STATE}/models:ro", f"months:{months}"],
        # No depends_on: it would train once more. What is not there, the flow says.
        restart="no",
    )


def evidently() -> Service:
    """Evidently's UI on the runs of the drift job."""
    return _built(
        "drift",
        "1g",
        **READ_ONLY,
        command=[
            *("python", "-m", "testbed_drift", "ui", "--workspace", WORKSPACE),
            *("--host", "0.0.0.0", "--port", "8085"),  # noqa: S104 - inside the container
        ],
        profiles=["ui"],
        volumes=[f"drift:{STATE}/drift"],
        ports=[publish("EVIDENTLY", 8085)],
        healthcheck=probe(8085, "/api/version"),
    )


def receiver() -> Service:
    """The alert receiver, which also takes spans and log records where there is no Jaeger."""
    return _built(
        "testbed",
        "256m",
        **READ_ONLY,
        command=[
            *("python", "-m", "testbed_receiver"),
            *("--host", "0.0.0.0", "--port", "9080"),  # noqa: S104 - in the container
            *("--out", f"{RECEIVED}/notifications.jsonl", "--names", "receiver"),
            *(
                "--traces",
                f"{RECEIVED}/traces.jsonl",
                "--log-records",
                f"{RECEIVED}/log-records.jsonl",
            ),
        ],
        volumes=[f"receiver:{RECEIVED}"],
        ports=[publish("RECEIVER", 9080)],
        healthcheck=probe(9080, "/health/ready"),
    )


def collector_health() -> Service:
    """Asks the Collector how it is: its own image holds nothing that could.

    So a stack whose Collector is dead has an unhealthy service, and ``up --wait`` fails.
    """
    return _built(
        "api",
        "32m",
        **READ_ONLY,
        command=["sleep", "infinity"],
        # The Collector is there in a moment, so that not even the first minutes are a reason.
        healthcheck=probe(13133, "/", "collector") | {"start_period": "30s"},
        depends_on=after(collector="started"),
    )


def locust() -> Service:
    """Locust with its web UI."""
    return _built(
        "load",
        "1g",
        **READ_ONLY,
        command=[
            *("python", "-m", "locust", "-f", LOCUSTFILE, "--host", "http://api:8000"),
            *("--web-host", "0.0.0.0", "--web-port", "8089"),  # noqa: S104 - in the container
        ],
        environment={
            "TESTBED_LOAD_USE_CASE": USE_CASE,
            "TESTBED_LOAD_ARTEFACT": ARTEFACT,
            "TESTBED_TRUTH_DIR": f"{STATE}/truth",
            KEY_VARIABLE: given_file(KEY_VARIABLE, LOAD_KEY),
        },
        secrets=[LOAD_KEY],
        profiles=["load"],
        volumes=[f"models:{STATE}/models:ro", f"truth:{STATE}/truth"],
        ports=[publish("LOCUST", 8089)],
        healthcheck=probe(8089, "/"),
        depends_on=after(api="healthy"),
    )


def scenario() -> Service:
    """Plays a scenario on this stack: ``docker compose run --rm scenario demo``."""
    return _built(
        "testbed",
        "2g",
        entrypoint=["testbed", "run", "--stack", f"{CONFIGURATION}/stack.json"],
        command=["demo"],
        environment={"TESTBED_HOME": STATE, KEY_VARIABLE: given_file(KEY_VARIABLE, LOAD_KEY)},
        secrets=[TOKEN, "postgres_password", KEYS, LOAD_KEY],
        profiles=["scenario"],
        volumes=[
            CONFIGURED,
            f"models:{STATE}/models:ro",
            f"receiver:{RECEIVED}:ro",
            f"drift:{STATE}/drift",  # the run may ask the job to begin anew
            f"targets:{TARGETS}:ro",
            f"runs:{STATE}/runs",
        ],
        # No depends_on: it would train and render once more. What is not there, the run says.
        restart="no",
    )
