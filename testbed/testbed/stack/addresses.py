"""Where the components of a stack are: Compose addresses, and the usual ports of native mode."""

from __future__ import annotations

from typing import Final

from testbed.componentnames import API

# Compose address to the usual port of native mode.
USUAL_PORTS: Final = {
    "api:8000": 8000,
    "api:9464": 9464,
    "collector:4317": 4317,
    "collector:4318": 4318,
    "collector:8888": 8888,
    "collector:13133": 13133,
    "prometheus:9090": 9090,
    "alertmanager:9093": 9093,
    "node_exporter:9100": 9100,
    "receiver:9080": 9080,
    "console:9070": 9070,
    "locust:8089": 8089,
    "evidently:8085": 8085,
}

PUBLIC: Final = f"{API}:8000"

MANAGEMENT: Final = f"{API}:9464"

BUNDLED: Final = (PUBLIC, MANAGEMENT)
"""Of the target that comes with the testbed; another one has its own in their place."""

CONSOLE: Final = "console:9070"

PROMETHEUS: Final = "prometheus:9090"

COLLECTOR_HTTP: Final = "collector:4318"

COLLECTOR_GRPC: Final = "collector:4317"

# What other programs of a machine send to unasked: OTLP by an SDK's or a Collector's defaults, and
# alerts by another Prometheus.
SENT_TO: Final = (COLLECTOR_HTTP, PROMETHEUS, "alertmanager:9093", "receiver:9080")


def management_addresses(replicas: int) -> list[str]:
    """Management address of each replica of the API, as the Compose file would name it."""
    first = USUAL_PORTS[MANAGEMENT]
    return [f"{API}:{first + number}" for number in range(replicas)]
