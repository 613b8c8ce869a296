"""Secrets in log records: masked before any handler writes them."""

from __future__ import annotations

import logging
import traceback

from testbed_otel.masking import mask


class Redaction(logging.Filter):
    """Masks secrets in messages and tracebacks, whichever handler they go to."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; lets all of them pass."""
        message = record.getMessage()
        masked = mask(message)
        if record.exc_info and record.exc_info[0] is not None:
            trail = "".join(traceback.format_exception(*record.exc_info))
            if mask(trail) != trail:
                masked += "\n" + mask(trail)
                record.exc_info = record.exc_text = None
        if masked != message or record.exc_info is None:
            record.msg, record.args = masked, None
        return True


def no_conflict(record: logging.LogRecord) -> bool:
    """Let all pass but a warning of the SDK's that is none.

    It compares instruments by their names alone, though those of two meters are two.
    """
    sdk = record.name.startswith("opentelemetry.sdk.metrics.")
    return not (sdk and "conflicting metrics identities" in str(record.msg))


def log_to_stderr() -> None:
    """Send the records of a job to standard error, as text and without secrets."""
    handler = logging.StreamHandler()
    handler.addFilter(no_conflict)
    handler.addFilter(Redaction())
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", handlers=[handler])
