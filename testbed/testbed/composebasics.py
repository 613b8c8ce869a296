"""What the services of ``docker-compose.yml`` have in common, and how its values are written."""

from __future__ import annotations

from typing import Any, Final

from testbed_otel.settings import JOB_NAMES

Service = dict[str, Any]

# Where the rendered configuration lies in every container that reads it.
CONFIGURATION: Final = "/etc/testbed"
STATE: Final = "/var/lib/testbed"
ARTEFACT: Final = f"{STATE}/models/current"
RECEIVED: Final = f"{STATE}/receiver"
TARGETS: Final = f"{STATE}/targets"
"""Where the API leaves its scrape targets."""
DATABASE: Final = "testbed"
LOG_URL: Final = (
    f"postgresql+psycopg://{DATABASE}@postgres:5432/{DATABASE}"
    "?password_file=/run/secrets/postgres_password"
)
CONFIGURED: Final = f"configuration:{CONFIGURATION}:ro"
PROFILES: Final = "COMPOSE_PROFILES"
TIME_SCALE: Final = "TESTBED_TIME_SCALE"
# A service with this variable is made anew where the configuration that it reads is another one.
READS_CONFIGURATION: Final = {
    "TESTBED_CONFIGURED_FOR": (
        f"scale ${{{TIME_SCALE}:-1}}, profiles ${{{PROFILES}:-}}, jobs ${{{JOB_NAMES}:-}}"
    )
}
HARDENED: Final[Service] = {
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges:true"],
}
# Compose copies secrets of the environment into the container, which a read-only one refuses.
READ_ONLY: Final[Service] = {"read_only": True, "tmpfs": ["/tmp"]}  # noqa: S108 - in the container
SECRETS: Final = {
    "management_token": "TESTBED_MANAGEMENT_TOKEN",
    "postgres_password": "POSTGRES_PASSWORD",
    "grafana_admin_password": "GRAFANA_ADMIN_PASSWORD",
}
"""Secret to the variable of ``.env`` that holds it."""


def secret_file(name: str) -> str:
    """Where a container finds a secret that it is given."""
    if name not in SECRETS:
        raise KeyError(name)
    return f"/run/secrets/{name}"


def required(variable: str) -> str:
    """A variable of ``.env`` without which Compose refuses to start, saying why."""
    return f"${{{variable}:?set it in .env, see .env.example}}"


def choice(variable: str, default: object = "") -> str:
    """A variable of ``.env``, with what holds where it is missing or empty."""
    return f"${{{variable}:-{default}}}"


def given_file(variable: str, secret: str) -> str:
    """Where a container finds a file that a variable of ``.env`` names; empty where it names none.

    Args:
        variable: names the file.
        secret: as which it is mounted.
    """
    return f"${{{variable}:+/run/secrets/{secret}}}"


def publish(name: str, port: int) -> str:
    """A port that this machine alone can reach; the number outside is a choice."""
    return f"127.0.0.1:{choice(f'TESTBED_PORT_{name}', port)}:{port}"


def after(**conditions: str) -> dict[str, dict[str, Any]]:
    """Services to wait for, and their condition; who reads the configuration starts with it."""
    return {
        name: {"condition": f"service_{what}"}
        | ({"restart": True} if name == "configuration" else {})
        for name, what in conditions.items()
    }


def wget(url: str) -> dict[str, Any]:
    """A health check by the small wget of most images."""
    return health("wget", "-q", "-O", "/dev/null", url)


def probe(port: int, path: str, *host: str) -> dict[str, Any]:
    """A health check by the probe of this project's images, which starts no Python.

    Args:
        port: of the server.
        path: that answers 200.
        host: where it is not the container itself.
    """
    return health("probe", str(port), path, *host)


def health(*command: str) -> dict[str, Any]:
    """A health check by a command: often until the container is ready, rarely from then on."""
    return {
        "test": ["CMD", *command],
        "start_period": "120s",
        "start_interval": "1s",
        "interval": "15s",
        "timeout": "5s",
        "retries": 4,
    }


def python_probe(url: str) -> dict[str, Any]:
    """A health check of an image that has nothing smaller than Python to ask with: asked less.

    The servers of these images make their databases first, which takes minutes on a busy machine.
    """
    python = f"import urllib.request as r; r.urlopen('{url}', timeout=3)"
    return health("python", "-c", python) | {
        "start_period": "300s",
        "start_interval": "5s",
        "interval": "60s",
    }


def limited(memory: str, *, processors: str = "1.0", processes: int = 256) -> Service:
    """Most that a container may take of the machine, its log included."""
    return {
        "mem_limit": memory,
        "cpus": processors,
        "pids_limit": processes,
        "logging": {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}},
    }
