"""Variables with which a Compose stack is started so that a scenario can be played on it.

``python -m testbed.scenarioenv SCENARIO`` prints them as a file for ``docker compose --env-file``;
without a scenario it writes that of the demo, ``scenario.env``, which ``--check`` checks.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Final

from testbed_domain.errors import DomainError
from testbed_domain.files import write_atomic
from testbed_otel.settings import LOGS_EXPORTER
from testbed_rules.timescale import TimeScale

from testbed.composebasics import TIME_SCALE
from testbed.driftplan import drift_plan
from testbed.errors import EXIT_COULD_NOT_RUN
from testbed.resources import find_scenario, root
from testbed.scenario import read_scenario
from testbed.settings import Settings, trace_ratio
from testbed.stack.arguments import ALERTMANAGER_DURATIONS, PROMETHEUS_DURATIONS
from testbed.stack.composeconfiguration import flag_variable
from testbed.stack.environments import (
    DRIFT_INTERVAL,
    DRIFT_WINDOW,
    EXPORT_INTERVAL,
    RETRAIN_COOLDOWN,
    batch_delay,
    planned_windows,
    relations_environment,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed.scenario import Scenario

FILE: Final = "scenario.env"
DEMO: Final = "demo"
USE: Final = "docker compose --env-file .env --env-file scenario.env"


def scenario_environment(scenario: Scenario, factor: float, settings: Settings) -> dict[str, str]:
    """All that a scenario needs of the stack, by variables of the Compose file.

    Args:
        scenario: what is to be played.
        factor: time scale.
        settings: of the testbed, as far as they shape a run.
    """
    scale, delay = TimeScale(factor), batch_delay(factor)
    planned = scenario.planned_requests(factor)
    flags = {**PROMETHEUS_DURATIONS, **ALERTMANAGER_DURATIONS}
    return {
        TIME_SCALE: f"{factor:g}",
        "OTEL_METRIC_EXPORT_INTERVAL": str(round(scale.interval_seconds(EXPORT_INTERVAL) * 1000)),
        "OTEL_BSP_SCHEDULE_DELAY": delay,
        "OTEL_BLRP_SCHEDULE_DELAY": delay,
        "OTEL_TRACES_SAMPLER_ARG": str(trace_ratio(settings, planned if scenario.traces else None)),
        LOGS_EXPORTER: "otlp" if scenario.logs else "none",
        "TESTBED_API_FAULTS_ENABLED": "true",
        "TESTBED_DRIFT_INTERVAL": f"{DRIFT_INTERVAL / factor:g}",
        "TESTBED_DRIFT_WINDOW": f"{DRIFT_WINDOW / factor:g}",
        "TESTBED_DRIFT_MIN_ROWS": str(settings.drift_min_rows),
        **planned_windows(drift_plan(scenario, factor, settings.drift_min_rows)),
        **relations_environment(factor, {}),
        "TESTBED_DRIFT_RETRAIN_COOLDOWN": f"{RETRAIN_COOLDOWN / factor:g}",
        **{flag_variable(flag): scale.duration(value) for flag, value in flags.items()},
        **scenario.settings.api_environment,
        **scenario.settings.drift_environment,
    }


def render(name: str, settings: Settings) -> str:
    """The file of a scenario, by its name or path.

    Raises:
        DomainError: there is no such scenario, or it is broken.
    """
    scenario = read_scenario(find_scenario(name))
    found = scenario_environment(scenario, scenario.time_scale, settings)
    lines = "".join(f"{variable}={value}\n" for variable, value in found.items())
    return (
        f"# Of a Compose stack on which the scenario {scenario.name} can be played.\n"
        f"# Made by `python -m testbed.scenarioenv {name}`.\n"
        f"#   {USE} run --rm scenario {name}\n{lines}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 1 when ``--check`` finds a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m testbed.scenarioenv",
        description="Print the variables of a Compose stack for a scenario.",
    )
    parser.add_argument("scenario", nargs="?", help=f"name or file; default: write {FILE}")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the file is out of date"
    )
    options = parser.parse_args(arguments)
    path = root() / FILE
    try:
        text = render(options.scenario or DEMO, Settings())
    except DomainError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_COULD_NOT_RUN
    if options.scenario:
        sys.stdout.write(text)
    elif not options.check:
        write_atomic(path, text)
        sys.stdout.write(f"wrote {path}\n")
    elif not path.is_file() or path.read_text("utf-8") != text:
        sys.stderr.write(f"{path} is out of date: run `python -m testbed.scenarioenv`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
