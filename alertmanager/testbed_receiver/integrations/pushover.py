"""Pushover: has an address that no configuration changes."""

from __future__ import annotations

from testbed_receiver.integrations.base import INTEGRATIONS, Integration, IntegrationConfig


@INTEGRATIONS.register
class Pushover(Integration):
    """``pushover_configs``."""

    kind = "pushover"

    def problem(self, config: IntegrationConfig) -> str:
        """See the base."""
        del config
        return "Alertmanager has the address of Pushover built in"
