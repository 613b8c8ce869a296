"""The stacks that are tried: what each is started with, and what is asked of it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from testbed_api.http.keys import digest, new_key
from testbed_otel import names

from testbed.composebasics import SECRETS
from testbed.composetest.plan import SERVERS
from testbed.composetest.steps import say
from testbed.errors import StackError
from testbed.stack.addresses import management_addresses

if TYPE_CHECKING:
    from testbed.composetest.engine import Engine
    from testbed.composetest.project import Project
    from testbed.composetest.steps import Steps

REPLICAS: Final = 2
REPORTED_LIMIT: Final = 60.0
UNHEALTHY_LIMIT: Final = 120.0
LOOK: Final = 1.0
WRONG_PASSWORD: Final = "POSTGRES_PASSWORD in .env is not the password that this database was made"  # noqa: S105 - what the container says
_STATUS: Final = """\
import sys, urllib.error, urllib.request
request = urllib.request.Request(sys.argv[1], b"{}", {"content-type": "application/json"})
try:
    print(urllib.request.urlopen(request, timeout=10).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""

SERVED: Final = {
    "decisions of the drift job in MLflow": """\
from mlflow import MlflowClient
client = MlflowClient("http://mlflow:5000")
runs = client.search_runs([client.get_experiment_by_name("drift").experiment_id])
print(*(run.data.tags["decision"] for run in runs if run.info.status == "FINISHED"))
""",
    "version of the Prefect server": """\
import urllib.request
print(urllib.request.urlopen("http://prefect:4200/api/admin/version", timeout=10).read().decode())
""",
}

Check = Callable[["Project", "Engine", "Steps"], None]


def _nothing(_: Project) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Variant:
    """A stack.

    Attributes:
        about: what is tried, for people.
        scenario: what is played; None plays what the command line names, empty nothing.
        plays: how often, one after the other on the same stack.
        settings: makes files, and gives the variables of ``.env`` that name them.
        servers: services that no other variant starts: their stand-ins are big.
        checks: asked of the stack when the scenario has been played.
    """

    about: str
    scenario: str | None = None
    plays: int = 1
    settings: Callable[[Project], Mapping[str, str]] = _nothing
    servers: frozenset[str] = frozenset()
    checks: tuple[Check, ...] = field(default=())


def changed_password(project: Project, engine: Engine, steps: Steps) -> None:
    """A database that was made with another password says so where one looks: in its log.

    Raises:
        StackError: it says nothing.
    """
    what = "postgres, with another password in .env"
    project.change(**{SECRETS["postgres_password"]: secrets.token_hex(16)})
    again = ("up", "--detach", "--no-build", "--pull=never", "--no-deps", "--force-recreate")
    steps.run(what, *project.command, *again, "postgres", limit=REPORTED_LIMIT)
    began = time.monotonic()
    while WRONG_PASSWORD not in project.ask(engine, "logs", "--no-color", "postgres"):
        if time.monotonic() - began > REPORTED_LIMIT:
            raise StackError(f"{what}: its log says nothing of that after {REPORTED_LIMIT:.0f} s")
        time.sleep(LOOK)
    say(f"{what}: reported in its log ({time.monotonic() - began:.0f} s)")


def dead_collector_is_unhealthy(project: Project, engine: Engine, steps: Steps) -> None:
    """Its image has no probe: the service that asks it says so.

    Raises:
        StackError: that one is healthy still.
    """
    what = "a Collector that is stopped"
    steps.run(what, *project.command, "stop", "collector", limit=REPORTED_LIMIT)
    began = time.monotonic()
    while "unhealthy" not in project.ask(engine, "ps", "collector_health"):
        if time.monotonic() - began > UNHEALTHY_LIMIT:
            raise StackError(f"{what}: collector_health is healthy after {UNHEALTHY_LIMIT:.0f} s")
        time.sleep(LOOK)
    say(f"{what}: collector_health is unhealthy ({time.monotonic() - began:.0f} s)")


def keys_and_replicas(project: Project) -> dict[str, str]:
    """Variables of an API with two processes and a key, which the load has."""
    key = new_key()
    files = {"keys": f"load {digest(key)}\n", "load-key": f"{key}\n"}
    for name, text in files.items():
        path = project.place / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o444)  # the containers' user reads it
    urls = ",".join(f"http://{address}" for address in management_addresses(REPLICAS))
    return {
        "TESTBED_API_KEYS_FILE": str(project.place / "keys"),
        "TESTBED_LOAD_KEY_FILE": str(project.place / "load-key"),
        "TESTBED_API_REPLICAS": str(REPLICAS),
        "TESTBED_API_CPUS": f"{REPLICAS}.0",
        "TESTBED_DRIFT_MANAGEMENT_URLS": urls,
    }


def each_replica_is_a_target(project: Project, engine: Engine, _: Steps) -> None:
    """Prometheus scrapes each, with an instance id of its own.

    Raises:
        StackError: others are scraped, or one is down.
    """
    asked = ("wget", "-q", "-O", "-", "http://127.0.0.1:9090/api/v1/targets?state=active")
    page = json.loads(project.ask(engine, "exec", "--no-TTY", "prometheus", *asked))
    found = {
        target["discoveredLabels"]["__address__"]: (target["health"], target["labels"]["instance"])
        for target in page["data"]["activeTargets"]
        if target["labels"]["job"] == names.JOB_API
    }
    ids = {instance for health, instance in found.values() if health == "up"}
    if set(found) != set(management_addresses(REPLICAS)) or len(ids) != REPLICAS:
        raise StackError(f"scrape targets of {REPLICAS} replicas: {found}")
    say(f"scrape targets of the API: {', '.join(f'{a} {i}' for a, (_, i) in found.items())}")


def keys_are_demanded(project: Project, engine: Engine, _: Steps) -> None:
    """Who has none may not predict.

    Raises:
        StackError: the answer is another one than 401.
    """
    python = ("python", "-c", _STATUS, "http://api:8000/predict")
    status = project.ask(engine, "exec", "--no-TTY", "drift", *python).strip()
    if status != "401":
        raise StackError(f"/predict without an API key answers {status}, not 401")
    say("/predict without an API key: 401")


def servers_answer(project: Project, engine: Engine, _: Steps) -> None:
    """MLflow has the drift job's runs, Prefect says its version: asked from the job's container.

    Raises:
        StackError: one does not.
    """
    for what, python in SERVED.items():
        said = project.ask(engine, "exec", "--no-TTY", "drift", "python", "-c", python).strip()
        if not said:
            raise StackError(f"{what}: nothing")
        say(f"{what}: {said}")


VARIANTS: Final = {
    "plain": Variant(
        "the stack as it comes, twice; then a dead Collector, and another password of the database",
        plays=2,
        checks=(dead_collector_is_unhealthy, changed_password),
    ),
    "replicas": Variant(
        "two replicas of the API, and API keys",
        scenario="normal",
        settings=keys_and_replicas,
        checks=(each_replica_is_a_target, keys_are_demanded),
    ),
    "servers": Variant(
        "the servers of MLflow, to which the drift job is sent, and of Prefect",
        scenario="normal",
        settings=lambda _: {"MLFLOW_TRACKING_URI": "http://mlflow:5000"},
        servers=SERVERS,
        checks=(servers_answer,),
    ),
}
