"""The instrumented prediction service."""
