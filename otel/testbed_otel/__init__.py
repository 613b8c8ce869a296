"""Telemetry: vocabulary, SDK set-up and Collector configuration."""
