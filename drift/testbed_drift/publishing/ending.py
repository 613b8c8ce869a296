"""The end of a process that publishes: what it measured leaves by every door."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_domain.errors import DomainError

if TYPE_CHECKING:
    from testbed_otel.sdk import Telemetry

    from testbed_drift.publishing.textfile import Textfile


class TextfileError(DomainError):
    """The metrics file of a run could not be written. One line that says why."""


def ending(telemetry: Telemetry, textfile: Textfile | None, *, evaluated: bool) -> list[str]:
    """Write the textfile, push what is left, and stop measuring.

    Args:
        telemetry: of the process.
        textfile: where metrics are written, or None.
        evaluated: whether any of its runs decided anything.

    Returns:
        A line about each door that was shut.

    Raises:
        TextfileError: the textfile could not be written, so that who reads it sees old values; all
            else is done.
    """
    failures = []
    problem = None
    if textfile and telemetry.disabled:
        failures.append(f"OTEL_SDK_DISABLED measures nothing: {textfile.path} stays as it was")
    elif textfile:
        try:
            textfile.write(telemetry.registry, evaluated=evaluated)
        except OSError as error:
            problem = f"cannot write {textfile.path}: {error.strerror}"
    if not telemetry.shutdown():
        failures.append("the last metrics did not reach the OTLP endpoint")
    if problem:
        raise TextfileError("; ".join([problem, *failures]))
    return failures
