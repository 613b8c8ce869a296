"""A service that knows nothing of the testbed, from its own rules to the verdict."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.polling import PATIENCE, wait_for
from tests.support.ports import free_port
from tests.support.typedpage import typed_in

from .playing import NO_REPORTS, QUICK, failed_checks, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.commandline import CommandLine

PAGE = "how-to/own-service.md"
PRINTED = "20260101T120000-covariate-drift-seed1"
EXAMPLE = Path(__file__).parents[2] / "examples" / "flask-service"


@pytest.fixture
def example(command_line: CommandLine) -> Path:
    """A copy of the example, and a shell whose Python has Flask and prometheus_client."""
    command_line.environment["XDG_CONFIG_HOME"] = str(command_line.folder / "config")
    command_line.environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return Path(shutil.copytree(EXAMPLE, command_line.folder / "examples" / EXAMPLE.name))


GUARD = """
@app.before_request
def only_with_the_key():
    if request.path.startswith(("/predict", "/labels")):
        if request.headers.get("X-API-Key") != os.environ["SHOP_KEY"]:
            return jsonify({"error": "no key"}), 401


def guarded(page):
    def answer(environ, start_response):
        if environ.get("HTTP_X_API_KEY") == os.environ["SHOP_KEY"]:
            return page(environ, start_response)
        start_response("401 Unauthorized", [("Content-Type", "text/plain")])
        return [b"no key"]

    return answer

"""


@pytest.fixture
def written(command_line: CommandLine, example: Path) -> str:
    """What `init` writes, as the page types it; the service wants a key, which is returned."""
    key, port = "key-of-the-shop", free_port()
    command_line.environment |= {"SHOP_KEY": key}
    app = example / "app.py"
    text = app.read_text().replace("\n@app.post", f"{GUARD}\n@app.post", 1)
    page = "make_wsgi_app()}"
    assert page in text
    app.write_text(text.replace(page, f"guarded({page.removesuffix('}')})}}"))
    url = f"http://127.0.0.1:{port}"
    asking = typed_in(PAGE, "testbed init http", {"http://127.0.0.1:5001": url})
    with serving(app, command_line.environment | {"PORT": str(port)}, url):
        asked = command_line.run(*asking, "--header", "X-API-Key: ${SHOP_KEY}")
    assert asked.code == 0, asked.output
    return key


@pytest.mark.long
def test_the_first_scenario_passes(command_line: CommandLine, written: str) -> None:
    """As `init` writes it."""
    del written
    _, *typed = typed_in(PAGE, "run mine/scenario.yaml")
    result = play(command_line, *typed)
    assert result.code == 0, result.output


def test_from_nothing_to_a_verdict(command_line: CommandLine, written: str) -> None:
    """Its alerts fire, its requests are counted, and what only the bundled API says is left out."""
    _, *typed = typed_in(PAGE, "flask-service/scenario.yaml --service mine")
    result = play(command_line, *typed, *QUICK)
    assert result.code == 0, result.output
    files = [each for each in result.out.rglob("*") if each.is_file()]
    assert files
    assert not [each for each in files if written.encode() in each.read_bytes()]
    alerts = {row["alert"]: row["status"] for row in result.verdict["alerts"]}
    assert alerts == dict.fromkeys(("ShopDown", "ShopErrors", "Watchdog"), "detected")
    hops = {hop["key"]: hop for hop in result.verdict["hops"]}
    assert "api_log" not in hops
    (service, prometheus) = (hops["load_service"], hops["service_prometheus"])
    assert 0 < service["arrived"] == prometheus["sent"] == prometheus["arrived"] < service["sent"]
    skipped = {c["name"] for c in result.verdict["checks"] if not c["applicable"]}
    assert {"measured", "content", "panel queries"} <= skipped
    assert result.verdict["drift"]["decision"] == "NO_ACTION"


@contextmanager
def serving(app: Path, environment: dict[str, str], url: str) -> Iterator[None]:
    """The service, as its user starts it."""
    log = app.with_suffix(".log")
    with log.open("wb") as file, subprocess.Popen(
        ["python", app.name], cwd=app.parent, env=environment, stdout=file, stderr=file
    ) as process:  # fmt: skip

        def answers() -> bool:
            with suppress(httpx.HTTPError):
                return httpx.get(f"{url}/health").is_success
            return False

        try:
            wait_for(answers, PATIENCE, log.read_text)
            yield
        finally:
            process.kill()


def test_a_page_that_refuses_the_scrapes_says_so(command_line: CommandLine, written: str) -> None:
    """Where the key is wrong: Prometheus's reason, not only that the job is not up."""
    file = command_line.folder / "mine" / "service.yaml"
    key = "s3cret-but-wrong"
    command_line.environment["WRONG_KEY"] = key
    scraped = '"headers": {"X-API-Key": "${SHOP_KEY}"}'
    text = file.read_text()
    assert scraped in text
    file.write_text(text.replace(scraped, scraped.replace("SHOP", "WRONG")))
    for seconds in ("25", "75", "200"):  # in which all else is up, on a machine with other work
        command_line.environment["TESTBED_START_TIMEOUT"] = seconds
        result = command_line.run("up", "--service", str(file))
        assert result.code == 2, result.output
        if "not up yet: shop " in result.output:
            break
    assert "server returned HTTP status 401" in result.output
    files = [each for each in command_line.folder.rglob("*") if each.is_file()]
    assert not [each for each in files if key.encode() in each.read_bytes()]
    assert not [each for each in files if written.encode() in each.read_bytes()]


@pytest.mark.long
def test_its_broken_alert_is_failed(command_line: CommandLine, example: Path) -> None:
    """By name, and blamed on the rule; the service that a scenario brings is trusted first."""
    rules = example / "rules" / "shop.yml"
    rules.write_text(rules.read_text().replace('up{job="shop"} == 0', 'up{job="shop"} == 2'))
    trusted = command_line.run(*typed_in(PAGE, "trust examples/flask-service/scenario.yaml"))
    assert "python app.py" in trusted.output
    _, *typed = typed_in(PAGE, "run examples/flask-service/scenario.yaml")
    result = play(command_line, *typed, *QUICK)
    assert result.code == 1, result.output
    assert "alert ShopDown in outage" in failed_checks(result)
    assert result.verdict["culprit"] == "rule"
    labels = {c["name"]: c["summary"] for c in result.verdict["checks"]}["load labels"]
    assert "were posted to the service, which refused" in labels  # those of the time of its stop


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
