"""The files that ``testbed init`` writes: YAML in which every guess has its comment. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed.initial.guess import Guess

UNKNOWN: Final = "not found: say it yourself, or leave it out"


def service_file(  # noqa: PLR0913 - the fields of the file
    *,
    name: str,
    url: str,
    command: str | None,
    ready: str | None,
    rules: str | None,
    path: Guess,
    body: Guess,
    headers: Mapping[str, str],
    reply: Mapping[str, Guess],
    refused: str,
    counts: Mapping[str, Guess],
    has_metrics: bool,
) -> str:
    """Text of ``service.yaml``."""

    def lines() -> Iterator[str]:
        yield "# How testbed run --service asks your service. Every guess has a comment; see"
        yield "# docs/how-to/own-service.md, and docs/reference/services.md for every field."
        yield f"service: {name}"
        yield f"command: {_text(command)}" if command else f"url: {_text(url)}"
        if ready is None:
            yield f"ready: /  # {UNKNOWN}"
        else:
            yield f"ready: {ready}  # the first usual path of health that answers"
        if rules is not None:
            yield f"rules: {_text(rules)}"
        if not has_metrics:
            yield "metrics: []  # /metrics has none; without them its counters can't be compared"
        yield "request:"
        yield f"  path: {path.value}  # {path.why}"
        yield f"  body: {_text(body.value)}  # {body.why}"
        if headers:
            yield f"  headers: {_text(dict(headers))}"
        if refused:
            yield f"  # it refused an example row: {refused}"
        yield from _mapping("reply", ("prediction", "probability", "id"), reply)
        yield from _mapping("counts", ("requests", "errors", "latency"), counts)

    return "\n".join(lines()) + "\n"


def _mapping(name: str, fields: Sequence[str], found: Mapping[str, Guess]) -> Iterator[str]:
    yield f"{name}:" if found else f"{name}: {{}}"
    for field in fields:
        if field in found:
            yield f"  {field}: {_text(found[field].value)}  # {found[field].why}"
    yield from (f"  # {field}: {UNKNOWN}" for field in fields if field not in found)


def scenario_file(name: str, use_case: str, alerts: Sequence[str]) -> str:
    """Text of ``scenario.yaml``: normal traffic, a stop of the service where the run starts it."""

    def lines() -> Iterator[str]:
        yield "# A first scenario. What it may hold: docs/reference/scenario.schema.json."
        yield f"name: {name}-first"
        yield f"title: First scenario of {name}"
        yield "description: Normal traffic; none of the alerts may fire."
        yield f"use_case: {use_case}  # whose rows are sent"
        yield "time_scale: 30"
        yield "phases:"
        yield "  - {name: normal, duration: 10m, rate: 20}"
        yield "  # A fault, and the alert that must come of it:"
        yield "  # - name: outage"
        yield "  #   duration: 6m"
        yield "  #   rate: 20"
        yield f"  #   faults: [{{kind: restart, component: {name}, down: 3m}}]"
        yield "settle: 6m"
        if alerts:
            yield "# expected_alerts:  # your rules have these:"
            for alert in alerts:
                yield f"#   - {{alert: {alert}, phase: outage, within: 5m, resolves_within: 6m}}"
            yield "# limits: {error_ratio: 0.5}  # while it is down"

    return "\n".join(lines()) + "\n"


def _text(value: Any) -> str:  # noqa: ANN401 - JSON, which is YAML
    return json.dumps(value, ensure_ascii=False)
