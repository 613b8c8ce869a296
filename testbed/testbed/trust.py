"""What a file may have executed: only commands that its reader has trusted.

A ``testbed.toml`` is read from the working directory, which may be anybody's, as a scenario may be:
a download, a shared folder. What they may say is harmless but for commands, those that start a
service among them, and for requests that go to none of the run's components. These are trusted
once, by ``testbed trust``; the file at another place, or with another command, is to be trusted
anew. The file of ``--service`` is named to be executed, as a script is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.files import read_regular, write_atomic

from testbed.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from testbed.scenario import Scenario

# Settings that can name a command line, and how such a value begins.
COMMANDS: Final = {"drift_on_retrain": "command "}

OWN: Final = "service"
"""Place of the service that a scenario brings."""


def commands_of(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings of a file that name a command, with their values."""
    return {
        name: str(values[name])
        for name, beginning in COMMANDS.items()
        # A value that some later reader could take for one counts, however it is spaced.
        if name in values and str(values[name]).strip().startswith(beginning.strip())
    }


def check(
    path: Path, values: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> None:
    """See that every command that a file names is trusted.

    Args:
        path: the file.
        values: its settings.
        environment: variables that win over the file, and where trust is stored.

    Raises:
        UsageError: one is not; says how to trust it.
    """
    asked = {
        name: value
        for name, value in commands_of(values).items()
        if f"TESTBED_{name.upper()}" not in environment
    }
    if asked and _mark(path, commands_of(values)) not in _trusted(environment):
        name, value = next(iter(asked.items()))
        raise UsageError(
            f"{path}: {name} names a command that is not trusted: {value!r}; "
            "run `testbed trust` to trust it, or remove it"
        )


def check_scenario(
    path: Path,
    scenario: Scenario,
    environment: Mapping[str, str] = os.environ,
    *,
    other_service: bool = False,
) -> None:
    """See that all that a scenario executes, or asks of others, is trusted.

    Args:
        path: its file.
        scenario: what the file says.
        environment: names where trust is stored.
        other_service: it is played on a service that its caller chose, in place of its own.

    Raises:
        UsageError: something is not; says how to trust it.
    """
    found = needing_trust(scenario)
    asked = {name: value for name, value in found.items() if not (other_service and name == OWN)}
    if asked and _mark(path, _whole(scenario)) not in _trusted(environment):
        place, value = next(iter(asked.items()))
        raise UsageError(
            f"{path}: {place}: what this does is not trusted: {value!r}; "
            f"run `testbed trust {path}` to trust it, or remove it"
        )


def needing_trust(scenario: Scenario) -> dict[str, str]:
    """Place of all that needs trust to what it does: the scenario's own service, and faults."""
    own = None if scenario.service is None else scenario.service.trusting
    return ({} if own is None else {OWN: own}) | {
        f"phases[{number}].faults[{place}]": fault.trusting
        for number, phase in enumerate(scenario.phases)
        for place, fault in enumerate(phase.faults)
        if fault.trusting is not None
    }


def _whole(scenario: Scenario) -> dict[str, str]:
    """The same with all that is said of the service: what it is sent matters as where it is."""
    found = needing_trust(scenario)
    if OWN in found and scenario.service is not None:
        found[OWN] = scenario.service.model_dump_json()
    return found


def trust_scenario(
    path: Path, scenario: Scenario, environment: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Trust what a scenario executes, and asks of others, now.

    Returns:
        That, by its place; empty where nothing needs trust.

    Raises:
        UsageError: the trust can't be stored.
    """
    _keep(path, _whole(scenario), environment)
    return needing_trust(scenario)


def trust(path: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Trust the commands that a file names now.

    Returns:
        Those commands by their settings; empty where it names none.

    Raises:
        UsageError: the file can't be read, or the trust can't be stored.
    """
    try:
        values = tomllib.loads(read_regular(path).decode())
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    found = commands_of(values)
    _keep(path, found, environment)
    return found


def _keep(path: Path, found: Mapping[str, str], environment: Mapping[str, str]) -> None:
    if not found:
        return
    marks = sorted({*_trusted(environment), _mark(path, found)})
    try:
        write_atomic(_store(environment), json.dumps(marks, indent=1) + "\n", mode=0o600)
    except OSError as error:
        raise UsageError(f"cannot store the trust: {error}") from None


def _store(environment: Mapping[str, str]) -> Path:
    base = environment.get("XDG_CONFIG_HOME")
    folder = Path(base) if base else Path.home() / ".config"
    return folder / "ml-observability-testbed" / "trusted.json"


def _trusted(environment: Mapping[str, str]) -> frozenset[str]:
    """Marks that are stored; what can't be read trusts nothing."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(read_regular(_store(environment)))
        if isinstance(found, list):
            return frozenset(map(str, found))
    return frozenset()


def _mark(path: Path, commands: Mapping[str, str]) -> str:
    """Stands for a file at its place with its commands."""
    text = json.dumps([str(path.resolve()), sorted(commands.items())])
    return hashlib.sha256(text.encode()).hexdigest()
