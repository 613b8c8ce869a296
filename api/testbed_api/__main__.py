"""``python -m testbed_api``: serve a model, with settings from ``TESTBED_API_*``."""

from __future__ import annotations

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    from importlib import import_module

    from testbed_domain.endings import run as run_guarded

    run_guarded(lambda: import_module("testbed_api.__main__").main(), "api")

import argparse
import os
import sys

from testbed_domain.errors import DomainError
from testbed_otel.masking import mask
from testbed_otel.settings import enable_sdk_self_metrics
from testbed_otel.standard import TelemetrySettingsError, propagated

from testbed_api.errors import PREFIX
from testbed_api.ops.replicas import ATTRIBUTES, identity, supervise
from testbed_api.ops.targets import forget_targets
from testbed_api.settings import ApiSettings
from testbed_api.telemetry.logs import configure


def main() -> int:
    """Serve; returns the exit code: 0 after a drained end, 2 where a setting can't be used."""
    lines = (
        f"  {PREFIX}{name.upper()}: {field.description}"
        for name, field in ApiSettings.model_fields.items()
    )
    argparse.ArgumentParser(
        prog="python -m testbed_api",
        description="Serve a model. Settings come from the environment:\n" + "\n".join(lines),
        epilog="Telemetry follows the standard OTEL_* variables.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    enable_sdk_self_metrics()
    try:
        settings = ApiSettings.load()
        # OpenTelemetry's instrumentation fails with a traceback on a propagator that it lacks.
        propagated(os.environ)
        # Of a replica with a socket, its supervisor sees to both.
        targets = settings.targets_folder if settings.socket is None else None
        if targets is not None:
            forget_targets(targets)
        if settings.replicas > 1 and settings.socket is None:
            configure(json=settings.log_format == "json")
            return supervise(settings)
        if targets is not None:
            given = os.environ.get(ATTRIBUTES, "")
            os.environ[ATTRIBUTES] = identity(given, 0)
        # Not above: the supervisor stays small without the model's libraries.
        from testbed_api.ops.server import run  # noqa: PLC0415 - see above

        run(settings)
    except (DomainError, TelemetrySettingsError) as error:
        sys.stderr.write(f"error: {mask(error)}\n")
        return 2
    return 0
