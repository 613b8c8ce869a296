"""What the caller's shell says of the components of a stack: what reaches them, and what doesn't.

A stack is the same whatever shell it is started from: durations, addresses, propagators and
exporters are the run's. A few variables are asked for by name (:func:`passed_on`); every other one
that would set a component is left out, and the start says so (:func:`notes`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from testbed_otel.settings import LOGS_EXPORTER
from testbed_otel.standard import SAMPLER_RATIO

from testbed.settings import Settings
from testbed.stack.build import CACHE_VARIABLE
from testbed.stack.driftchoices import ARTEFACTS, CHOICES, RELATIONS_ROWS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PREFIXES: Final = ("OTEL_", "TESTBED_", "LOCUST_")
"""Of variables that set components."""

RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
EXPORTER: Final = "OTEL_EXPORTER_OTLP_"

TELEMETRY: Final = {
    SAMPLER_RATIO: "the share of requests that are traced",
    RESOURCE: "joined to the identity that a run gives",
    LOGS_EXPORTER: "`otlp` exports log records too; `none` takes them from no scenario",
}
"""Standard variables that reach every component, and what they do there."""

_OTHERS: Final = (CACHE_VARIABLE, ARTEFACTS, RELATIONS_ROWS, *CHOICES)


def passed_on(environ: Mapping[str, str], *, own_collector: bool = True) -> dict[str, str]:
    """The standard ``OTEL_*`` variables of the shell that reach the components; blank ones never.

    Args:
        environ: the caller's environment.
        own_collector: whether the stack has a Collector. A shell often names another one than is
            tested here; without any, what it says of the receiver counts.
    """
    return {
        name: value
        for name, value in environ.items()
        if value.strip() and _passes(name, own_collector=own_collector)
    }


def _passes(name: str, *, own_collector: bool) -> bool:
    return name in TELEMETRY or (not own_collector and name.startswith(EXPORTER))


def wants_logs(environ: Mapping[str, str]) -> bool:
    """Whether the shell asks for log records of every run."""
    return environ.get(LOGS_EXPORTER, "").strip().lower() == "otlp"


def ignored(
    environ: Mapping[str, str], *, own_collector: bool = True, asking: Collection[str] = ()
) -> list[str]:
    """Names of the shell's variables that would set a component, and reach none; sorted."""
    settings = {f"TESTBED_{name.upper()}" for name in Settings.model_fields}
    return sorted(
        name
        for name, value in environ.items()
        if value.strip()
        and name.startswith(PREFIXES)
        and not _passes(name, own_collector=own_collector)
        and name not in (*_OTHERS, *asking)
        and name.upper() not in settings
    )


def notes(
    environ: Mapping[str, str], without: Collection[str] = (), asking: Collection[str] = ()
) -> list[str]:
    """What a start says of the shell it is started from: nothing where it sets no component.

    Args:
        environ: the caller's environment.
        without: components that are left out.
        asking: variables that the load needs to ask the target.
    """
    own_collector = "collector" not in without
    found = []
    if passed := sorted(passed_on(environ, own_collector=own_collector)):
        found.append(f"passed on to the components: {', '.join(passed)}")
    if without := ignored(environ, own_collector=own_collector, asking=asking):
        found.append(f"ignored, as a stack sets its components by itself: {', '.join(without)}")
    return found
