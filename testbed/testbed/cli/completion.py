"""Values that a shell completes: of scenarios, use cases, components and runs.

``testbed --install-completion`` has the shell ask. What goes wrong on the way gives no value: a
completion must never print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def scenario_names(incomplete: str) -> list[str]:
    """Names of the scenarios that ship; where none fits, the shell offers files."""
    from testbed.resources import scenario_files

    return _fitting(scenario_files(), incomplete)


def use_cases(incomplete: str) -> list[str]:
    """Names of use cases."""
    from testbed_domain.use_cases import ANY, USE_CASES

    return _fitting((*USE_CASES, ANY), incomplete)


def optional_components(incomplete: str) -> list[str]:
    """Components that ``--without`` may name."""
    from testbed.componentnames import OPTIONAL

    return _fitting(OPTIONAL, incomplete)


def logged_components(incomplete: str) -> list[str]:
    """Components that have a log in a run; those of services of one's own among them."""
    from testbed.componentnames import LOGGING, WEB_UIS

    logs = {path.stem for folder in _runs() for path in (folder / "logs").glob("*.log")}
    return _fitting(sorted({*LOGGING, *WEB_UIS, *logs}), incomplete)


def run_ids(incomplete: str) -> list[str]:
    """Ids of runs, the newest first."""
    return _fitting((path.name for path in reversed(_runs())), incomplete)


def active_run_ids(incomplete: str) -> list[str]:
    """Ids of runs whose stack is up."""
    from testbed.active import active_stacks
    from testbed.settings import load_settings

    try:
        return _fitting((stack.run for stack in active_stacks(load_settings().runs)), incomplete)
    except DomainError:
        return []


def profiles(incomplete: str) -> list[str]:
    """Names of load profiles."""
    from testbed_load.profiles import PROFILES

    return _fitting(PROFILES, incomplete)


def drifts(incomplete: str) -> list[str]:
    """Names of drifts of the load."""
    from testbed_load.drifts import DRIFTS

    return _fitting(DRIFTS, incomplete)


def _runs() -> list[Path]:
    from testbed.settings import load_settings

    try:
        return sorted(path for path in load_settings().runs.glob("*") if path.is_dir())
    except (DomainError, OSError):
        return []


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
