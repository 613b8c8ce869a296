"""What a running stack must be like for a scenario to be played on it; else it is refused."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_api.http.keys import read_keys
from testbed_domain.errors import DomainError
from testbed_load.headers import KEY_HEADER, read_headers

from testbed.errors import UsageError
from testbed.heartbeat import heartbeat_names
from testbed.tail import JsonLinesTail

if TYPE_CHECKING:
    from testbed.clients.prometheus import PrometheusClient
    from testbed.runoptions import RunOptions
    from testbed.scenario import Scenario
    from testbed.settings import Settings
    from testbed.targets import TargetModel

ANEW: Final = (
    "begin with a new one, by the same --env-file options: docker compose down --volumes, which "
    "removes its data, then docker compose up --detach --wait; or another project by --project-name"
)
ALERTS_TIMEOUT: Final = 60.0
LOOK: Final = 0.5


def refuse_what_needs_processes(scenario: Scenario, options: RunOptions) -> None:
    """What only a runner can do that has started the components itself.

    Raises:
        UsageError: the scenario or an option wants it.
    """
    wanted = {
        "--data and --target": options.own.data or options.own.target,
        "--rules": options.rules,
        "--without": options.without,
        "--replicas": options.replicas != 1,
        "--service": options.target,
        "--model": options.model,
    }
    if asked := [name for name, given in wanted.items() if given]:
        raise UsageError(
            f"{', '.join(asked)}: a running stack has its own; leave it out, or start the stack so"
        )
    faults = [
        f"{phase.name}: {fault.description}"
        for phase in scenario.phases
        for fault in phase.faults
        if not fault.by_http
    ]
    if scenario.settings.collector.queue_size is not None:
        faults.append("another queue of the Collector")
    if scenario.settings.api.keys:
        faults.append("an API that demands keys")
    if scenario.settings.has_database:
        faults.append("a database of its own")
    if faults:
        raise UsageError(
            f"the scenario {scenario.name} can't be played on a running stack, whose components "
            f"others have started ({'; '.join(faults)}): play it natively, "
            f"testbed run {scenario.name}"
        )


def refuse_other_service(scenario: Scenario, service: TargetModel | None) -> None:
    """A scenario that brings its own service is played on a stack of that service.

    Args:
        scenario: what is to be played.
        service: of the stack; None is the bundled API.

    Raises:
        UsageError: the stack's is another one.
    """
    if scenario.service is None or _as_written(scenario.service) == _as_written(service):
        return
    raise UsageError(
        f"the scenario {scenario.name} is played on its service {scenario.service.name}, and this "
        f"stack was started for {'the bundled API' if service is None else service.name}: "
        "start one by testbed up --scenario FILE"
    )


def _as_written(service: TargetModel | None) -> dict[str, object] | None:
    """Without the examples that it showed once it ran."""
    return None if service is None else service.model_dump(exclude={"examples"})


def refuse_other_start(scenario: Scenario, needed: dict[str, str], started: dict[str, str]) -> None:
    """A stack whose time scale or settings are others than the scenario needs.

    Raises:
        UsageError: the stack was started with others; says how to start it.
    """
    other = [
        f"{name} is {started.get(name) or 'not set'}, must be {value}"
        for name, value in needed.items()
        if started.get(name, "") != value
    ]
    if not other:
        return
    more = f", and {len(other) - 2} more" if len(other) > 2 else ""  # noqa: PLR2004 - two are shown
    raise UsageError(
        f"the stack was not started for the scenario {scenario.name} "
        f"({'; '.join(other[:2])}{more}): start one by testbed up --scenario {scenario.name}; or "
        f"write its variables into a file (docker compose run --rm --no-deps --entrypoint python "
        f"scenario -m testbed.scenarioenv {scenario.name}) and give it to docker compose by "
        "--env-file, beside .env"
    )


def require_key(scenario: Scenario, keys_file: str | None, settings: Settings) -> None:
    """An API that demands a key lets the load in, as often as the scenario sends.

    Args:
        scenario: what is to be played.
        keys_file: keys of the API; None or empty demands none.
        settings: name the file of the load's key.

    Raises:
        UsageError: the load has no key, or the API would refuse it.
    """
    if not keys_file:
        return
    if settings.load_key_file is None:
        raise UsageError(
            "this stack demands API keys (TESTBED_API_KEYS_FILE): give the load one, in a file "
            "that TESTBED_LOAD_KEY_FILE names"
        )
    try:
        key = read_headers(str(settings.load_key_file))[KEY_HEADER]
        known = read_keys(Path(keys_file), time.monotonic)
    except DomainError as error:
        raise UsageError(str(error)) from None
    decision = known.decide(key)
    if decision.bucket is None:
        raise UsageError(
            f"the API does not know the key in {settings.load_key_file}: its line (testbed keys "
            "new NAME) must be in the file that TESTBED_API_KEYS_FILE names"
        )
    maximum = max((phase.peak_rate for phase in scenario.phases), default=0.0)
    if decision.bucket.rate < maximum:
        raise UsageError(
            f"the API key {decision.name} may ask {decision.bucket.rate:g} times a second, and "
            f"the scenario {scenario.name} does {maximum:g} times: give it no limit"
        )


def refuse_other_replicas(replicas: int, serving: int, journal: Path) -> None:
    """The API has had as many processes as it was started with, at all times.

    Args:
        replicas: with which it was started.
        serving: how many have left a scrape target.
        journal: of its supervisor, from the stack's beginning.

    Raises:
        UsageError: it has had others.
    """
    numbers = {int(line["number"]) for line in JsonLinesTail(journal).read()}
    maximum = max(numbers, default=0) + 1
    if maximum > replicas or serving != replicas:
        raise UsageError(
            f"this stack was started with TESTBED_API_REPLICAS={replicas}, and its API has "
            f"{serving} scrape targets and has had {maximum} processes at a time: {ANEW}"
        )


def refuse_alerts(
    prometheus: PrometheusClient, notifications: Path, timeout: float = ALERTS_TIMEOUT
) -> None:
    """A run starts from silence: alerts of the stack's start have some time to go away.

    Heartbeats never do.

    Args:
        prometheus: knows the active ones.
        notifications: what the receiver got: what fired there must have resolved there, too.
        timeout: seconds.

    Raises:
        UsageError: some are not over.
        StackError: Prometheus doesn't answer.
    """
    deadline = time.monotonic() + timeout
    beating = heartbeat_names((rule.name, rule.query) for rule in prometheus.rules())
    while active := sorted((_active(prometheus) | unresolved(notifications)) - beating):
        if time.monotonic() >= deadline:
            raise UsageError(
                f"a scenario starts from silence, and alerts are not over on this stack: "
                f"{', '.join(active)}"
            )
        time.sleep(LOOK)


def _active(prometheus: PrometheusClient) -> set[str]:
    return {str(alert.labels.get("alertname")) for alert in prometheus.alerts()}


def unresolved(notifications: Path) -> set[str]:
    """Alerts that were notified as firing last."""
    last = {
        str(line["fingerprint"]): (line["status"], str(line["alertname"]))
        for line in JsonLinesTail(notifications).read()
    }
    return {name for status, name in last.values() if status == "firing"}
