"""The alert receiver: takes Alertmanager's webhooks and keeps each with its time of arrival.

It also takes spans and log records, as OTLP in JSON, and keeps them in the run.
"""
