"""What the service reports of itself: metrics, traces, logs."""
