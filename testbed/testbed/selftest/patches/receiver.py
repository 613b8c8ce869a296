"""Defects in the receiver of notifications."""

from __future__ import annotations

from typing import Any

from testbed_receiver.record import NotificationRecorder

from testbed.selftest.patches.tools import wrap


def resolved_lost() -> None:
    """Notifications of resolved alerts are taken and not recorded."""

    def add(original: Any, recorder: Any, arrived: Any) -> None:
        original(recorder, [each for each in arrived if each.status == "firing"])

    wrap(NotificationRecorder, "add", add)


def all_lost() -> None:
    """Notifications are taken and not recorded."""

    def add(original: Any, recorder: Any, _arrived: Any) -> None:
        original(recorder, [])

    wrap(NotificationRecorder, "add", add)


def annotations_lost() -> None:
    """Notifications are recorded without their annotations."""

    def add(original: Any, recorder: Any, arrived: Any) -> None:
        original(recorder, [each.model_copy(update={"annotations": {}}) for each in arrived])

    wrap(NotificationRecorder, "add", add)
