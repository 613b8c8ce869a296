"""The alert receiver: takes Alertmanager's webhooks and keeps each with its time of arrival."""

from testbed.receiver.app import create_app
from testbed.receiver.record import Notification, PayloadError, Recorder, notifications

__all__ = ["Notification", "PayloadError", "Recorder", "create_app", "notifications"]
