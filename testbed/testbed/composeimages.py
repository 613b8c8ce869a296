"""The services of ``docker-compose.yml`` that run other projects' images, as they are."""

from __future__ import annotations

from typing import Any, Final

from testbed.stack.catalogue import images

# Images that only Compose runs; those of the compiled tools are in the catalogue.
COMPOSE_IMAGES: Final = {
    "grafana": "grafana/grafana:12.4.11",
    "jaeger": "jaegertracing/jaeger:2.20.0",
    "cadvisor": "ghcr.io/google/cadvisor:0.60.5",
    "postgres": "postgres:18.6-alpine",
}

DATABASE: Final = "testbed"

Service = dict[str, Any]


def secret(name: str) -> str:
    """A variable of ``.env`` without which Compose refuses to start, saying why."""
    return f"${{{name}:?set it in .env, see .env.example}}"


def loopback(*ports: int) -> list[str]:
    """Ports that this machine alone can reach."""
    return [f"127.0.0.1:{port}:{port}" for port in ports]


def after(**conditions: str) -> dict[str, dict[str, str]]:
    """Services to wait for, and their condition."""
    return {name: {"condition": f"service_{what}"} for name, what in conditions.items()}


def wget(url: str) -> dict[str, Any]:
    """A health check by the small wget of most images."""
    return health("wget", "-q", "-O", "/dev/null", url)


def health(*command: str) -> dict[str, Any]:
    """A health check by a command in the container."""
    return {
        "test": ["CMD", *command],
        "interval": "10s",
        "timeout": "5s",
        "retries": 6,
        "start_period": "30s",
    }


def postgres() -> Service:
    """The prediction log, which several containers share."""
    return {
        "image": COMPOSE_IMAGES["postgres"],
        "environment": {
            "POSTGRES_USER": DATABASE,
            "POSTGRES_DB": DATABASE,
            "POSTGRES_PASSWORD": secret("POSTGRES_PASSWORD"),
        },
        # Since version 18 the image keeps its data in a folder per major version below this one.
        "volumes": ["postgres:/var/lib/postgresql"],
        "healthcheck": health("pg_isready", "-U", DATABASE, "-d", DATABASE),
        "restart": "unless-stopped",
    }


def collector() -> Service:
    """Without a health check: the image holds nothing but the Collector, so no probe either."""
    return {
        "image": images()["otelcol"],
        "command": ["--config=/etc/otelcol/collector.yaml"],
        # A fresh volume belongs to root. Root without any capability is no more than its owner.
        "user": "0:0",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "read_only": True,
        "volumes": [
            "./otel/collector.yaml:/etc/otelcol/collector.yaml:ro",
            "collector:/var/lib/otelcol",
        ],
        "ports": loopback(4317, 4318),
        "depends_on": after(prometheus="healthy"),
        "restart": "unless-stopped",
    }


def prometheus() -> Service:
    """With the flags of native mode."""
    return {
        "image": images()["prometheus"],
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=15d",
            "--web.enable-otlp-receiver",
        ],
        "volumes": ["./prometheus:/etc/prometheus:ro", "prometheus:/prometheus"],
        "ports": loopback(9090),
        "healthcheck": wget("http://127.0.0.1:9090/-/ready"),
        "depends_on": after(alertmanager="healthy"),
        "restart": "unless-stopped",
    }


def alertmanager() -> Service:
    """Alone: without a cluster."""
    return {
        "image": images()["alertmanager"],
        "command": [
            "--config.file=/etc/alertmanager/alertmanager.yml",
            "--storage.path=/alertmanager",
            "--cluster.listen-address=",
        ],
        "volumes": ["./alertmanager:/etc/alertmanager:ro", "alertmanager:/alertmanager"],
        "ports": loopback(9093),
        "healthcheck": wget("http://127.0.0.1:9093/-/ready"),
        "depends_on": after(receiver="healthy"),
        "restart": "unless-stopped",
    }


def node_exporter() -> Service:
    """It sees the machine, and can't write to it."""
    return {
        "image": images()["node_exporter"],
        "command": ["--path.rootfs=/host", "--collector.textfile.directory=/textfiles"],
        "pid": "host",
        "volumes": ["/:/host:ro", "textfiles:/textfiles:ro"],
        "healthcheck": wget("http://127.0.0.1:9100/metrics"),
        "restart": "unless-stopped",
    }


def cadvisor() -> Service:
    """With the image's own health check."""
    return {
        "image": COMPOSE_IMAGES["cadvisor"],
        "command": ["--docker_only=true", "--housekeeping_interval=10s"],
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
        "ports": loopback(8080),
        "restart": "unless-stopped",
    }


def jaeger() -> Service:
    """The trace viewer."""
    return {
        "image": COMPOSE_IMAGES["jaeger"],
        "ports": loopback(16686),
        "healthcheck": wget("http://127.0.0.1:13133/status"),
        "restart": "unless-stopped",
    }


def grafana() -> Service:
    """With the project's dashboards, behind a login."""
    dashboards = "/etc/grafana/dashboards"
    return {
        "image": COMPOSE_IMAGES["grafana"],
        "environment": {
            "GF_SECURITY_ADMIN_USER": "admin",
            "GF_SECURITY_ADMIN_PASSWORD": secret("GRAFANA_ADMIN_PASSWORD"),
            "GF_AUTH_ANONYMOUS_ENABLED": "false",
            "GF_USERS_ALLOW_SIGN_UP": "false",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES": "false",
            "GF_PLUGINS_PREINSTALL_DISABLED": "true",
            "GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH": f"{dashboards}/ml-api-monitoring.json",
        },
        "volumes": [
            "./grafana/provisioning:/etc/grafana/provisioning:ro",
            f"./grafana/dashboards:{dashboards}:ro",
            "grafana:/var/lib/grafana",
        ],
        "ports": loopback(3000),
        "healthcheck": wget("http://127.0.0.1:3000/api/health"),
        "depends_on": after(prometheus="healthy"),
        "restart": "unless-stopped",
    }
