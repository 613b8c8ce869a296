"""What a scenario needs in the folder of its run before anything is started."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_domain.files import write_atomic

if TYPE_CHECKING:
    from testbed.layout import RunLayout
    from testbed.scenario import Scenario

NAME: Final = "load"


def make_ready(scenario: Scenario, layout: RunLayout) -> None:
    """Make keys, where the scenario has the API demand some, and what its faults need."""
    if scenario.settings.api.keys:
        make_keys(layout)
    for phase in scenario.phases:
        for fault in phase.faults:
            fault.prepare(layout)


def make_keys(layout: RunLayout) -> None:
    """Make the load's key and the file of keys that the API reads; their owner's alone."""
    from testbed_api.http.keys import digest, new_key  # noqa: PLC0415 - few runs have keys

    key = new_key()
    write_atomic(layout.load_key, f"{key}\n", mode=0o600)
    write_atomic(layout.api_keys, f"{NAME} {digest(key)}\n", mode=0o600)
