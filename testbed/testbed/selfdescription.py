"""What a native stack says of itself, so that scenarios can be played on it like on Compose's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from testbed_domain.files import write_atomic

from testbed.attached import Attachment
from testbed.scenarioenv import scenario_environment
from testbed.stack.composeconfiguration import STACK_FILE

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.preparation import Prepared
    from testbed.settings import Settings

WHOLE: Final = {"COMPOSE_PROFILES": "host"}
"""Such a stack has all components."""


def describe(started: Prepared, settings: Settings) -> Path:
    """Write the description of a running stack beside its configuration.

    Args:
        started: what it was started with.
        settings: effective settings.

    Returns:
        The file, for ``testbed run --stack``.
    """
    context, layout = started.context, started.layout
    targets = layout.root / "described"
    targets.mkdir(exist_ok=True)
    serving = [
        {"targets": [address], "labels": {"instance": instance}}
        for address, instance in context.serving.items()
    ]
    write_atomic(targets / "api-9464.json", json.dumps(serving))
    environment = scenario_environment(started.scenario, context.factor, settings)
    described = Attachment(
        environment=environment | WHOLE,
        addresses=dict(context.endpoints),
        log_url=context.log_url,
        token=layout.management_token,
        model=layout.model,
        received=layout.root,
        drift=layout.drift,
        targets=targets,
        rules=started.options.rules,
        service=None if context.target.instrumented else context.target,
        without=started.options.without,
    )
    # The log's URL may hold a password.
    write_atomic(layout.config / STACK_FILE, described.model_dump_json(indent=2), mode=0o600)
    return layout.config / STACK_FILE
