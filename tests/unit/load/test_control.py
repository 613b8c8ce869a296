"""What a start from Locust's form leaves behind."""

from __future__ import annotations

import subprocess
import sys

# In a process of its own: Locust turns the threads of a process into greenlets.
REFUSED = """
import os, sys, threading
from types import SimpleNamespace
from testbed_load.control import Control
from testbed_load.errors import LoadError
from testbed_load.options import plan_from_options
from testbed_load.traffic import load_source
options = {"otlp_endpoint": "http://127.0.0.1:1", "truth_dir": None, "host": "http://127.0.0.1:1"}
control = Control()
control._environment = SimpleNamespace(parsed_options=SimpleNamespace(**options))
control._headers, control._source = {}, load_source(None, "diabetes")
form = {"use_case": "diabetes", "load_profile": "drifted", "drift": "swapped_unit", "column": "%s"}
form |= {"seed": "1", "rate": "5", "severity": "1", "duration": "0"}
try:
    control._prepare(plan_from_options(form))
except LoadError:
    print("refused")
print(*sorted(each.name for each in threading.enumerate()))
sys.stdout.flush()
os._exit(0)
"""


def test_a_plan_that_is_refused_leaves_no_telemetry_that_goes_on() -> None:
    """Its exports would not end before the process; of one that is played they begin."""
    played, refused = (
        subprocess.run(
            [sys.executable, "-c", REFUSED % column],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for column in ("BMI", "absent")
    )
    assert "Otel" in played
    assert "refused" in refused
    assert "Otel" not in refused
