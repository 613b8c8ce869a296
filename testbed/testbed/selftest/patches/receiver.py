"""Defects in the receiver of notifications."""

from __future__ import annotations

from typing import Any, Final

from testbed_receiver.record import NotificationRecorder

from testbed.selftest.patches.tools import wrap

LATE: Final = 20.0
"""Seconds."""


def resolved_lost() -> None:
    """Notifications of resolved alerts are taken and not recorded."""

    def add(original: Any, recorder: Any, *arrived: Any) -> None:
        original(recorder, *(each for each in arrived if each.status == "firing"))

    wrap(NotificationRecorder, "add", add)


def all_lost() -> None:
    """Notifications are taken and not recorded."""

    def add(original: Any, recorder: Any, *_arrived: Any) -> None:
        original(recorder)

    wrap(NotificationRecorder, "add", add)


def annotations_lost() -> None:
    """Notifications are recorded without their annotations."""

    def add(original: Any, recorder: Any, *arrived: Any) -> None:
        original(recorder, *(each.model_copy(update={"annotations": {}}) for each in arrived))

    wrap(NotificationRecorder, "add", add)


def critical_late() -> None:
    """Whoever gets critical alerts takes them some seconds after they were sent."""

    def add(original: Any, recorder: Any, *arrived: Any) -> None:
        late = [
            each.model_copy(update={"received_at": each.received_at + LATE})
            if each.receiver == "critical"
            else each
            for each in arrived
        ]
        original(recorder, *late)

    wrap(NotificationRecorder, "add", add)
