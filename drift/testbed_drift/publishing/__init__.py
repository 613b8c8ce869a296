"""Results as metrics of the telemetry vocabulary."""
