"""Where the prediction log of a run is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed.errors import UsageError
from testbed.stack.database import ADDRESS, OwnDatabase
from testbed.stack.ports import HOST, allocate

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from testbed.layout import RunLayout
    from testbed.scenario import Scenario
    from testbed.settings import Settings
    from testbed.stack.ports import PortClaims


def own_database(
    scenario: Scenario,
    settings: Settings,
    layout: RunLayout,
    claims: PortClaims,
    endpoints: MutableMapping[str, str],
) -> OwnDatabase | None:
    """The database that the scenario wants the run to have; its address joins the endpoints.

    Raises:
        UsageError: the settings name a log.
        StackError: this machine permits none.
    """
    if not scenario.settings.has_database:
        return None
    if settings.log_url is not None:
        raise UsageError(
            f"the scenario {scenario.name} has a database of its own: leave TESTBED_LOG_URL out"
        )
    endpoints[ADDRESS] = f"{HOST}:{allocate({ADDRESS: 0}, claims)[ADDRESS]}"
    return OwnDatabase.choose(layout.data)


def log_url(
    database: OwnDatabase | None,
    settings: Settings,
    layout: RunLayout,
    endpoints: Mapping[str, str],
) -> str:
    """SQLAlchemy URL of the prediction log."""
    if database is not None:
        return database.url(endpoints[ADDRESS])
    return settings.log_url or f"sqlite:///{layout.prediction_log}"
