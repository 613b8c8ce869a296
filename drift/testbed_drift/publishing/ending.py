"""The end of a process that publishes: what it measured leaves by every door."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testbed_otel.sdk import Telemetry

    from testbed_drift.publishing.textfile import Textfile


def ending(telemetry: Telemetry, textfile: Textfile | None, *, judged: bool) -> list[str]:
    """Write the textfile, push what is left, and stop measuring.

    Args:
        telemetry: of the process.
        textfile: where metrics are written, or None.
        judged: whether any of its runs decided anything.

    Returns:
        A line about each door that was shut.
    """
    failures = []
    if textfile and telemetry.disabled:
        failures.append(f"OTEL_SDK_DISABLED measures nothing: {textfile.path} stays as it was")
    elif textfile:
        try:
            textfile.write(telemetry.registry, judged=judged)
        except OSError as error:
            failures.append(f"cannot write {textfile.path}: {error.strerror}")
    if not telemetry.shutdown():
        failures.append("the last metrics did not reach the OTLP endpoint")
    return failures
