"""The alert receiver: takes Alertmanager's webhooks and keeps each with its time of arrival.

It also takes spans and log records, as OTLP in JSON, and keeps them in the run.
"""

from testbed_receiver.app import OtlpSignals, create_app
from testbed_receiver.otlp import BoundedFile
from testbed_receiver.record import Notification, NotificationRecorder, PayloadError, notifications

__all__ = [
    "BoundedFile",
    "Notification",
    "NotificationRecorder",
    "OtlpSignals",
    "PayloadError",
    "create_app",
    "notifications",
]
