"""The services of ``docker-compose.yml`` that run other projects' images, as they are."""

from __future__ import annotations

from typing import Final

from testbed.composebasics import (
    CONFIGURATION,
    CONFIGURED,
    DATABASE,
    HARDENED,
    READ_ONLY,
    READS_CONFIGURATION,
    TARGETS,
    Service,
    after,
    choice,
    health,
    limited,
    publish,
    python_probe,
    secret_file,
    wget,
)
from testbed.stack.arguments import (
    ALERTMANAGER_DURATIONS,
    PROMETHEUS_DURATIONS,
    PROMETHEUS_FEATURES,
)
from testbed.stack.catalogue import images
from testbed.stack.composeconfiguration import flag_variable

# Images that only Compose runs; those of the compiled tools are in the catalogue. MLflow and
# Prefect are of the versions of their clients in the lock file.
COMPOSE_IMAGES: Final = {
    "grafana": "grafana/grafana:12.4.11",
    "jaeger": "jaegertracing/jaeger:2.20.0",
    "cadvisor": "ghcr.io/google/cadvisor:0.60.5",
    "postgres": "postgres:18.6-alpine",
    "mlflow": "ghcr.io/mlflow/mlflow:v3.17.2",
    "prefect": "prefecthq/prefect:3.8.8-python3.11",
}

# The bridge docker0: containers reach it, other machines don't.
GATEWAY: Final = choice("TESTBED_HOST_GATEWAY", "172.17.0.1")
# The official image trusts whoever comes from within, so that only its outer address asks for the
# password. PostgreSQL keeps the one that its volume was made with: it says so in its own log, where
# people look (the output of the server's process can't be written to: it has another owner).
_KNOWS_PASSWORD: Final = f"""\
export PGPASSWORD="$$(cat {secret_file("postgres_password")})" PGCONNECT_TIMEOUT=3
host="$$(hostname -i | cut -d' ' -f1)"
out="$$(psql -h "$$host" -U {DATABASE} -d {DATABASE} -qtAc 'select 1' 2>&1)" && exit 0
case "$$out" in *'password authentication failed'*)
out="POSTGRES_PASSWORD in .env is not the password that this database was made with. \
Put the old one back, or give the database the new one: docker compose exec -u postgres \
postgres psql -U {DATABASE} -d {DATABASE} -c '\\password'"
printf '%s\\n' "select format('do %L', format('begin raise log %L; end', :'reported')) \\gexec" |
psql -U {DATABASE} -d {DATABASE} -q -v reported="$$out" ;;
esac
echo "$$out"; exit 1
"""


def _flags(durations: dict[str, str]) -> list[str]:
    """Flags with a duration that the time scale divides."""
    return [f"--{flag}={choice(flag_variable(flag), value)}" for flag, value in durations.items()]


def chosen_durations() -> dict[str, str]:
    """The variables of those flags, of all tools."""
    durations = {**PROMETHEUS_DURATIONS, **ALERTMANAGER_DURATIONS}
    named = {flag_variable(flag): value for flag, value in durations.items()}
    return {name: choice(name, value) for name, value in named.items()}


def postgres() -> Service:
    """The prediction log, which several containers share."""
    return {
        "image": COMPOSE_IMAGES["postgres"],
        "environment": {
            "POSTGRES_USER": DATABASE,
            "POSTGRES_DB": DATABASE,
            "POSTGRES_PASSWORD_FILE": secret_file("postgres_password"),
        },
        "secrets": ["postgres_password"],
        "security_opt": ["no-new-privileges:true"],
        # Since version 18 the image keeps its data in a folder per major version below this one.
        "volumes": ["postgres:/var/lib/postgresql"],
        "healthcheck": health() | {"test": ["CMD-SHELL", _KNOWS_PASSWORD]},
        "stop_grace_period": "30s",
        "restart": "unless-stopped",
        **limited("1g"),
    }


def collector() -> Service:
    """Its image holds nothing but the Collector, so that another service asks how it is."""
    return {
        "image": images()["otelcol"],
        "command": [f"--config={CONFIGURATION}/collector.yaml"],
        "environment": dict(READS_CONFIGURATION),
        # A fresh volume belongs to root. Root without any capability is no more than its owner.
        "user": "0:0",
        **HARDENED,
        "read_only": True,
        "volumes": [CONFIGURED, "collector:/var/lib/otelcol"],
        "ports": [publish("OTLP_GRPC", 4317), publish("OTLP_HTTP", 4318)],
        "depends_on": after(configuration="completed_successfully", prometheus="healthy"),
        "stop_grace_period": "30s",
        "restart": "unless-stopped",
        **limited("512m"),
    }


def prometheus() -> Service:
    """With the flags of native mode."""
    return {
        "image": images()["prometheus"],
        "command": [
            f"--config.file={CONFIGURATION}/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=15d",
            "--web.enable-otlp-receiver",
            "--web.enable-lifecycle",  # POST /-/reload; the port is published on loopback only
            *PROMETHEUS_FEATURES,
            *_flags(PROMETHEUS_DURATIONS),
        ],
        "environment": dict(READS_CONFIGURATION),
        **HARDENED,
        **READ_ONLY,
        "volumes": [CONFIGURED, f"targets:{TARGETS}:ro", "prometheus:/prometheus"],
        # node_exporter is on the machine's own network.
        "extra_hosts": [f"node_exporter:{GATEWAY}"],
        "ports": [publish("PROMETHEUS", 9090)],
        "healthcheck": wget("http://127.0.0.1:9090/-/ready"),
        "depends_on": after(configuration="completed_successfully", alertmanager="healthy"),
        "stop_grace_period": "30s",
        "restart": "unless-stopped",
        **limited("2g"),
    }


def alertmanager() -> Service:
    """Alone: without a cluster."""
    return {
        "image": images()["alertmanager"],
        "command": [
            f"--config.file={CONFIGURATION}/alertmanager.yml",
            "--storage.path=/alertmanager",
            "--cluster.listen-address=",
            *_flags(ALERTMANAGER_DURATIONS),
        ],
        "environment": dict(READS_CONFIGURATION),
        **HARDENED,
        **READ_ONLY,
        "volumes": [CONFIGURED, "alertmanager:/alertmanager"],
        "ports": [publish("ALERTMANAGER", 9093)],
        "healthcheck": wget("http://127.0.0.1:9093/-/ready"),
        "depends_on": after(configuration="completed_successfully", receiver="healthy"),
        "restart": "unless-stopped",
        **limited("256m"),
    }


def node_exporter() -> Service:
    """It sees the machine and its network, and can't write to it."""
    address = f"{GATEWAY}:{choice('TESTBED_PORT_NODE_EXPORTER', 9100)}"
    return {
        "image": images()["node_exporter"],
        "command": [
            f"--web.listen-address={address}",
            "--path.rootfs=/host",
            "--collector.textfile.directory=/textfiles",
        ],
        "profiles": ["host"],
        "network_mode": "host",
        "pid": "host",
        **HARDENED,
        "read_only": True,
        "volumes": ["/:/host:ro", "textfiles:/textfiles:ro"],
        "healthcheck": wget(f"http://{address}/metrics"),
        "restart": "unless-stopped",
        **limited("128m"),
    }


def cadvisor() -> Service:
    """With the image's own health check."""
    return {
        "image": COMPOSE_IMAGES["cadvisor"],
        "command": ["--docker_only=true", "--housekeeping_interval=10s"],
        "profiles": ["host"],
        # It reads the containers' state from the host's kernel and from the Docker socket.
        "privileged": True,
        "devices": ["/dev/kmsg"],
        "volumes": [
            "/:/rootfs:ro",
            "/var/run:/var/run:ro",
            "/sys:/sys:ro",
            "/var/lib/docker/:/var/lib/docker:ro",
            "/dev/disk/:/dev/disk:ro",
        ],
        "ports": [publish("CADVISOR", 8080)],
        "restart": "unless-stopped",
        **limited("512m"),
    }


def jaeger() -> Service:
    """The trace viewer."""
    return {
        "image": COMPOSE_IMAGES["jaeger"],
        "profiles": ["traces"],
        **HARDENED,
        "ports": [publish("JAEGER", 16686)],
        "healthcheck": wget("http://127.0.0.1:13133/status"),
        "restart": "unless-stopped",
        **limited("1g"),
    }


def grafana() -> Service:
    """With the project's dashboards, behind a login."""
    return {
        "image": COMPOSE_IMAGES["grafana"],
        "environment": {
            "GF_SECURITY_ADMIN_USER": "admin",
            "GF_SECURITY_ADMIN_PASSWORD__FILE": secret_file("grafana_admin_password"),
            "GF_AUTH_ANONYMOUS_ENABLED": "false",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
            "GF_PLUGINS_PREINSTALL_DISABLED": "true",
            "GF_PATHS_PROVISIONING": f"{CONFIGURATION}/grafana/provisioning",
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": (
                f"{CONFIGURATION}/dashboards/ml-api-monitoring.json"
            ),
            **READS_CONFIGURATION,
        },
        "secrets": ["grafana_admin_password"],
        "profiles": ["ui"],
        **HARDENED,
        "volumes": [CONFIGURED, "grafana:/var/lib/grafana"],
        "ports": [publish("GRAFANA", 3000)],
        "healthcheck": wget("http://127.0.0.1:3000/api/health"),
        "depends_on": after(configuration="completed_successfully", prometheus="healthy"),
        "restart": "unless-stopped",
        **limited("512m"),
    }


def mlflow() -> Service:
    """A tracking server, for the runs of the drift job and of the monthly flow.

    One worker: of several, one that does not answer within 5 s is killed and started anew, so that
    on a busy processor none ever gets through its imports. Nothing here gives it jobs.
    """
    return {
        "image": COMPOSE_IMAGES["mlflow"],
        "command": [
            *("mlflow", "server", "--host", "0.0.0.0", "--port", "5000"),  # noqa: S104 - in the container
            *("--workers", "1"),
            *("--allowed-hosts", "mlflow:5000,localhost:*,127.0.0.1:*"),
            *("--backend-store-uri", "sqlite:////mlflow/mlflow.db"),
            *("--artifacts-destination", "/mlflow/artifacts"),
        ],
        "environment": {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        "profiles": ["mlflow"],
        "security_opt": ["no-new-privileges:true"],
        "volumes": ["mlflow:/mlflow"],
        "ports": [publish("MLFLOW", 5000)],
        "healthcheck": python_probe("http://127.0.0.1:5000/health"),
        "restart": "unless-stopped",
        **limited("1g"),
    }


def prefect() -> Service:
    """A server for the monthly flow, with its UI."""
    return {
        "image": COMPOSE_IMAGES["prefect"],
        "command": ["prefect", "server", "start", "--host", "0.0.0.0"],  # noqa: S104 - in the container
        "environment": {
            "PREFECT_HOME": "/prefect",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        },
        "profiles": ["prefect"],
        "security_opt": ["no-new-privileges:true"],
        "volumes": ["prefect:/prefect"],
        "ports": [publish("PREFECT", 4200)],
        "healthcheck": python_probe("http://127.0.0.1:4200/api/health"),
        "restart": "unless-stopped",
        **limited("1g"),
    }
