"""A service that knows nothing of the testbed, from its own rules to the verdict."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.polling import PATIENCE, wait_for
from tests.support.typedpage import typed_in

from .playing import NO_REPORTS, QUICK, failed_checks, play

if TYPE_CHECKING:
    from tests.support.commandline import CommandLine

PAGE = "how-to/own-service.md"
PRINTED = "20260101T120000-covariate-drift-seed1"
EXAMPLE = Path(__file__).parents[2] / "examples" / "flask-service"


@pytest.fixture
def example(command_line: CommandLine) -> Path:
    """A copy of the example, and a shell whose Python has Flask and prometheus_client."""
    command_line.environment["XDG_CONFIG_HOME"] = str(command_line.folder / "config")
    command_line.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return Path(shutil.copytree(EXAMPLE, command_line.folder / "shop"))


GUARD = """
@app.before_request
def only_with_the_key():
    if request.path.startswith(("/predict", "/labels")):
        if request.headers.get("X-API-Key") != os.environ["SHOP_KEY"]:
            return jsonify({"error": "no key"}), 401

"""


def test_its_alert_fires_and_its_requests_are_counted(
    command_line: CommandLine, example: Path
) -> None:
    """What its stop takes along is named; what only the bundled API says is not applicable.

    It wants a key, which the shell holds and no file of the run.
    """
    key = "key-of-the-shop"
    command_line.environment |= {"SHOP_KEY": key}
    app, scenario = example / "app.py", example / "scenario.yaml"
    app.write_text(app.read_text().replace("\n@app.post", f"{GUARD}\n@app.post", 1))
    headers = 'headers: {X-API-Key: "${SHOP_KEY}"}, '
    text = scenario.read_text().replace("request: {", "request: {" + headers)
    scenario.write_text(text.replace("labels: {", "labels: {" + headers))
    own = {"examples/flask-service/scenario.yaml": str(scenario)}
    trusted = command_line.run(*typed_in(PAGE, "trust examples/flask-service/scenario.yaml", own))
    assert "python app.py" in trusted.output
    assert "SHOP_KEY" in trusted.output
    _, *typed = typed_in(PAGE, "run examples/flask-service/scenario.yaml", own)
    result = play(command_line, *typed, *QUICK)
    assert result.code == 0, result.output
    files = [each for each in result.out.rglob("*") if each.is_file()]
    assert files
    assert not [each for each in files if key.encode() in each.read_bytes()]
    alerts = {row["alert"]: row["status"] for row in result.verdict["alerts"]}
    assert alerts == dict.fromkeys(("ShopDown", "ShopErrors", "Watchdog"), "detected")
    hops = {hop["key"]: hop for hop in result.verdict["hops"]}
    assert "api_log" not in hops
    (service, prometheus) = (hops["load_service"], hops["service_prometheus"])
    assert 0 < service["arrived"] == prometheus["sent"] == prometheus["arrived"] < service["sent"]
    labels = {c["name"]: c["summary"] for c in result.verdict["checks"]}["load labels"]
    assert "were posted to the service, which refused" in labels  # those of the time of its stop
    skipped = {c["name"] for c in result.verdict["checks"] if not c["applicable"]}
    assert {"measured", "content", "panel queries"} <= skipped
    assert result.verdict["drift"]["decision"] == "NO_ACTION"


@pytest.mark.long
def test_its_broken_alert_is_failed(command_line: CommandLine, example: Path) -> None:
    """By name, and blamed on the rule."""
    rules = example / "rules" / "shop.yml"
    rules.write_text(rules.read_text().replace('up{job="shop"} == 0', 'up{job="shop"} == 2'))
    command_line.run("trust", str(example / "scenario.yaml"))
    result = play(command_line, str(example / "scenario.yaml"), *QUICK)
    assert result.code == 1, result.output
    assert "alert ShopDown in outage" in failed_checks(result)
    assert result.verdict["culprit"] == "rule"


ON_A_STACK = """\
name: {name}
title: Errors on a stack that stays
description: The shop answers errors for a while, on a stack that others have started for it.
time_scale: 60
phases:
  - {{name: normal, duration: 5m, rate: 40}}
  - name: errors
    duration: 6m
    rate: 40
    faults:
      - kind: http
        start: {{url: "http://target/break"}}
        end_with: {{url: "http://target/mend"}}
  - {{name: last, duration: 14m, rate: 40{drift}}}
settle: 8m
expected_alerts:
  - {{alert: ShopErrors, phase: errors, within: 6m, resolves_within: 10m}}
allowed_alerts: [DataDrift, ConceptDrift]
muted_alerts: [SegmentDrift]
expected_decision: [{decision}]
limits: {{error_ratio: 0.5}}
"""
DRIFT = ", drift: {name: covariate_shift, severity: 2.0}"


@pytest.mark.long
def test_runs_one_after_the_other_on_a_stack_that_stays(
    command_line: CommandLine, example: Path
) -> None:
    """`up` keeps the service and its rules; nothing of the first run counts in the second."""
    command_line.environment |= NO_REPORTS
    texts = {
        "drifted": ON_A_STACK.format(name="drifted", drift=DRIFT, decision="ALERT, RETRAIN"),
        "steady": ON_A_STACK.format(name="steady", drift="", decision="NO_ACTION"),
    }
    for name, text in texts.items():
        (command_line.folder / f"{name}.yaml").write_text(text)
    own = {"service.yaml": str(example / "service.yaml"), "covariate-drift": "steady.yaml"}
    with command_line.start(*typed_in(PAGE, "testbed up --service", own)) as process:
        wait_for(lambda: "Play on it" in command_line.output, 120, lambda: command_line.output)
        (stack,) = (command_line.folder / ".testbed" / "runs").iterdir()
        for name in texts:
            own = {"covariate-drift": f"{name}.yaml", PRINTED: stack.name}
            typed = typed_in(PAGE, f"--stack {PRINTED}", own)
            result = command_line.run(*typed, "--out", name, timeout=300)
            assert result.code == 0, result.output
            assert {row["alert"] for row in result.verdict["alerts"]} >= {"ShopErrors"}
            hops = {hop["key"]: hop for hop in result.verdict["hops"]}
            counted = hops["load_service"]
            assert counted["sent"] == counted["arrived"] == hops["service_prometheus"]["arrived"]
            assert counted["sent"] > 0
        refused = command_line.run("run", "error-burst", "--stack", stack.name)
        assert refused.code == 2, refused.output
        assert "can't be played on the service shop" in refused.output
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
