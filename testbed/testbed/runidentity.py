"""What a run says of itself: ``run.json`` and the scenario as it is played."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml
from testbed_domain.files import write_atomic

from testbed.layout import LAYOUT_VERSION
from testbed.machine import describe_machine, own_version, package_versions
from testbed.stack.environments import DRIFT_INTERVAL, export_interval
from testbed.stack.loadtelemetry import load_sends

if TYPE_CHECKING:
    from datetime import datetime

    from testbed_domain.artefact import Artefact

    from testbed.layout import RunLayout
    from testbed.preparation import Prepared


def write_identity(
    prepared: Prepared, now: datetime, *, sink: bool = True, attached: bool = False
) -> None:
    """Write ``run.json`` and the scenario as it is played.

    Args:
        prepared: the run.
        now: its start.
        sink: whether the receiver gets spans and log records.
        attached: whether others have started the stack.
    """
    artefact, options, context = prepared.artefact, prepared.options, prepared.context
    identity = {
        "layout_version": LAYOUT_VERSION,
        "id": prepared.run_id,
        "started": now.isoformat(),
        "scenario": prepared.scenario.name,
        "use_case": prepared.use_case,
        "data": options.own.data.name if options.own.data else None,
        "target": artefact.schema.target,
        "service": None if context.target.instrumented else context.target.name,
        "synthetic": artefact.synthetic,
        "model": _model(artefact),
        "own_model": options.model and options.model.given,
        "seed": options.seed,
        "time_scale": prepared.factor,
        "without": sorted(options.without),
        "replicas": options.replicas,
        "attached": attached,
        "custom_rules": options.rules is not None,
        "rules_given": options.rules_given,
        "rules_aside": list(options.rules_aside),
        "own_jobs": context.configuration.own_jobs,
        "custom_routes": options.alertmanager is not None,
        "trace_ratio": context.trace_ratio,
        "logs": context.logs,
        "load_telemetry": load_sends(context),
        "sink": sink,
        "export_interval": export_interval(context.factor),
        "drift_interval": DRIFT_INTERVAL / context.factor,
        "endpoints": dict(context.endpoints),
        "intake": context.configuration.intake,
        "version": own_version(),
        "packages": package_versions(),
        "tools": {name: item.version for name, item in context.tools.programs.items()},
        "machine": describe_machine(),
    }
    write_atomic(prepared.layout.run_file, json.dumps(identity, indent=2))
    scenario = prepared.scenario.model_dump(mode="json")
    write_atomic(prepared.layout.scenario_file, yaml.safe_dump(scenario, sort_keys=False))


def say_model(layout: RunLayout, artefact: Artefact) -> None:
    """Have ``run.json`` name the model that answers, where only its service could say which."""
    identity = json.loads(layout.run_file.read_text(encoding="utf-8"))
    changed = identity | {"model": _model(artefact)}
    write_atomic(layout.run_file, json.dumps(changed, indent=2))


def _model(artefact: Artefact) -> dict[str, str]:
    return {"name": artefact.name, "version": artefact.version}
