"""The documentation: generated pages are fresh, links lead somewhere, commands can be typed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from pydantic_settings import BaseSettings
from testbed.assertions import ASSERTIONS
from testbed.checks.counts import HOPS
from testbed.checks.limits import LIMITS
from testbed.checks.results import AlertStatus, Reason
from testbed.docs.__main__ import PAGES, main, pages
from testbed.docs.commands import commands
from testbed.docs.telemetry import UNPROVOKED, expecting
from testbed.docs.telemetry import rules as shipped_rules
from testbed.heartbeat import always_fires
from testbed.layout import RunLayout
from testbed.scenario import Scenario
from testbed.settings import Settings
from testbed.texts import STATUS_TEXTS
from testbed_api.settings import ApiSettings
from testbed_domain.use_cases import ANY, USE_CASES
from testbed_drift.settings import DriftSettings
from testbed_load.drifts import DRIFTS
from testbed_load.profiles import PROFILES
from testbed_otel import names
from testbed_rules.lint import lint
from typer.core import TyperCommand, TyperGroup, TyperOption

from tests.support.yamltext import load_yaml

REPOSITORY: Final = Path(__file__).resolve().parents[2]
REFERENCE: Final = REPOSITORY / "docs" / "reference"
HOW_TO: Final = REPOSITORY / "docs" / "how-to"
DOCUMENTS: Final = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")])
COMMANDS: Final = dict(commands())

FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE: Final = re.compile(r"`([^`\n]+)`")
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
# A command line begins a line or follows what a shell puts before it, and ends at an operator.
CALL: Final = re.compile(
    r"(?:^|[(;&|]|\w=\S+)\s*(?:\.venv/bin/)?testbed ([^|;&)#\n]*)", re.MULTILINE
)
# Where people's own folders lie.
MACHINE_PATH: Final = re.compile(
    r"(?<![\w.$}~-])/(?:home|root|Users|work(?:space)?)/\w|\b[A-Z]:\\Users"
)

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(REPOSITORY).as_posix()
)


def page(name: str) -> str:
    """A page of the reference."""
    return (REFERENCE / name).read_text(encoding="utf-8")


def anchors(path: Path) -> set[str]:
    """Anchors of a Markdown file's headings, as GitHub makes them."""
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }


def blocks(path: Path, language: str) -> list[Any]:
    """The YAML of a document's fenced blocks of a language."""
    text = path.read_text(encoding="utf-8")
    return [load_yaml(body) for kind, body in FENCE.findall(text) if kind == language]


def rules(repository: Path) -> Iterator[dict[str, Any]]:
    """Every shipped rule."""
    for file in sorted((repository / "prometheus" / "rules").glob("*.yml")):
        for group in load_yaml(file.read_text(encoding="utf-8"))["groups"]:
            yield from group["rules"]


def parse(line: str, *, whole: bool) -> tuple[str, dict[str, Any]]:
    """Parse the arguments of ``testbed`` without running anything.

    Args:
        line: what follows ``testbed``.
        whole: whether what is required must be there.

    Returns:
        Name of the command and its parameters.
    """
    typed = re.split(r"\s(?:>>?|\|)\s", line)[0]  # what follows is the shell's
    words = [word for word in shlex.split(typed) if not word.startswith("[")]
    name = "testbed"
    while words and f"{name} {words[0]}" in COMMANDS:
        name = f"{name} {words.pop(0)}"
    if name == "testbed":
        assert not words or words[0].startswith("-"), f"there is no command {words[0]!r}"
        return name, {}
    command = COMMANDS[name]
    if isinstance(command, TyperGroup) and not command.invoke_without_command:
        assert not words, f"{name} has no command {words[0]!r}"
        assert not whole, f"{name} is a group of commands"
        return name, {}
    return name, command.make_context(name, words, resilient_parsing=not whole).params


def check_call(line: str, *, whole: bool) -> None:
    """Fail unless the command line can be typed: command, options, scenario, profile, use case."""
    try:
        name, given = parse(line, whole=whole)
    except Exception as error:  # noqa: BLE001 - typer's and shlex's own, of any kind
        pytest.fail(f"testbed {line.strip()}: {error}")
    known = {
        "scenario": {path.stem for path in (REPOSITORY / "scenarios").glob("*.yaml")},
        "name": set(PROFILES) if name == "testbed load" else {given.get("name")},
        "use_case": {*USE_CASES, ANY},
    }
    for parameter, choices in known.items():
        value = given.get(parameter)
        if value is None or value.isupper() or value.endswith(".yaml"):
            continue
        assert value in choices, f"testbed {line.strip()}: {name} knows no {value!r}"


def test_the_assertions_of_the_documentation_can_be_played() -> None:
    """Each kind is shown, and a scenario with the phases that they name takes all of them."""
    page = REPOSITORY / "docs" / "how-to" / "bring-your-own.md"
    text = page.read_text(encoding="utf-8").replace("\n  ", "\n")  # blocks of a list
    found = [
        each
        for _, body in FENCE.findall(text)
        if body.startswith("assertions:")
        for each in load_yaml(body)["assertions"]
    ]
    assert {each.get("kind", "promql") for each in found} == set(ASSERTIONS)
    phases = [
        {"name": name, "duration": "5m", "rate": 1} for name in ("normal", "drifted", "recovery")
    ]
    Scenario.model_validate(
        {"name": "a", "title": "", "description": "", "phases": phases, "assertions": found}
    )


def test_the_generated_pages_are_fresh(capsys: pytest.CaptureFixture[str]) -> None:
    """No page of the reference differs from what the sources say."""
    assert main(["--check"]) == 0, capsys.readouterr().err


@pytest.mark.slow
def test_a_stale_page_is_named_and_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--check`` writes nothing, names what differs and how to mend it; without, it is mended."""
    assert main(["--out", str(tmp_path)]) == 0
    stale = tmp_path / "alerts.md"
    stale.write_text("old", encoding="utf-8")
    assert main(["--check", "--out", str(tmp_path)]) == 1
    message = capsys.readouterr().err
    assert "alerts.md" in message
    assert "make generate" in message
    assert "metrics.md" not in message
    assert stale.read_text(encoding="utf-8") == "old"
    assert main(["--out", str(tmp_path)]) == 0
    assert main(["--check", "--out", str(tmp_path)]) == 0


def test_the_pages_do_not_depend_on_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither variables, nor a settings file, nor the working directory change a page."""
    before = pages()
    monkeypatch.setenv("TESTBED_HOME", "elsewhere")
    monkeypatch.setenv("TESTBED_API_PORT", "1")
    monkeypatch.setenv("COLUMNS", "40")
    (tmp_path / "testbed.toml").write_text("start_timeout = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert pages() == before


def test_a_page_of_a_scenario_that_is_gone_is_removed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--check`` names it."""
    assert main(["--out", str(tmp_path)]) == 0
    left = tmp_path / "scenarios" / "gone.md"
    left.touch()
    assert main(["--check", "--out", str(tmp_path)]) == 1
    assert "scenarios/gone.md is of no scenario" in capsys.readouterr().err
    assert main(["--out", str(tmp_path)]) == 0
    assert not left.exists()


def test_each_alert_says_of_each_scenario_whether_it_fires() -> None:
    """Must, may or must not; what each says is what the verdict holds the run against."""
    lines = page("scenarios.md").partition("## Alerts by scenario")[2].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "](" in line]
    header, *alerts = rows
    found = [re.findall(r"scenarios/(.+)\.md", cell)[0] for cell in header[1:]]
    assert found == sorted(path.stem for path in (REPOSITORY / "scenarios").glob("*.yaml"))
    assert {row[0].partition("]")[0].strip("[") for row in alerts} == set(shipped_rules())
    errors = next(row for row in alerts if row[0].startswith("[HighErrorRate]"))
    said = dict(zip(found, errors[1:], strict=True))
    assert (said["error-burst"], said["normal"]) == ("●", "·")
    drift = next(row for row in alerts if row[0].startswith("[ConceptDrift]"))
    assert dict(zip(found, drift[1:], strict=True))["demo"] == "○"


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link names a file or folder, and every anchor a heading of it."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    broken = []
    for target in LINK.findall(text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (document.parent / file).resolve() if file else document
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(target)
    assert not broken


@each_document
def test_commands_can_be_typed(document: Path) -> None:
    """Every ``testbed`` command line in a block parses, and within a line as far as it goes."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    for _, body in FENCE.findall(text):
        for line in CALL.findall(body):
            check_call(line, whole=True)
    for span in INLINE.findall(FENCE.sub("", text)):
        if span.startswith("testbed "):
            check_call(span.removeprefix("testbed "), whole=False)


@pytest.mark.parametrize(
    "line",
    [
        "fly",
        "compare",
        "run demo --fast",
        "run domo",
        "load bust",
        "drift",
        "train --use-case moon",
    ],
)
def test_wrong_commands_are_found(line: str) -> None:
    """The check above sees what can't be typed."""
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        check_call(line, whole=True)


def test_every_command_and_option_is_in_the_reference() -> None:
    """A section per command, which names all of its options."""
    sections = {
        title: body
        for title, _, body in (
            part.partition("\n") for part in page("command-line.md").split("\n## ")[1:]
        )
    }
    for name, command in COMMANDS.items():
        assert name in sections
        options = [item for item in command.params if isinstance(item, TyperOption)]
        if isinstance(command, TyperCommand):
            missing = [o for item in options for o in item.opts if f"`{o}`" not in sections[name]]
            assert not missing


@pytest.mark.parametrize("owner", [Settings, ApiSettings, DriftSettings])
def test_every_setting_is_in_the_reference(owner: type[BaseSettings]) -> None:
    """A row per field of the settings classes."""
    prefix = owner.model_config["env_prefix"]
    text = page("settings.md")
    assert not [n for n in owner.model_fields if f"| `{prefix}{n}`".upper() not in text.upper()]


def test_every_telemetry_variable_is_in_the_reference(repository: Path) -> None:
    """The variables that the telemetry package reads by name."""
    files = (repository / "otel" / "testbed_otel").glob("*.py")
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    read = set(re.findall(r"\b(?:OTEL|TESTBED)_[A-Z_]+", source))
    assert read
    assert not {name for name in read if f"`{name}`" not in page("settings.md")}


def test_every_metric_is_in_the_reference(repository: Path) -> None:
    """OpenTelemetry name, series and labels of each metric, foreign series, and jobs."""
    text = page("metrics.md")
    labels = {names.label(key) for metric in names.METRICS for key in metric.attributes}
    series = {name for metric in names.METRICS for name in metric.prometheus_series}
    config = load_yaml((repository / "prometheus" / "prometheus.yml").read_text())
    wanted = {
        *labels,
        *series,
        *names.FOREIGN_SERIES,
        *(metric.name for metric in names.METRICS),
        *(job["job_name"] for job in config["scrape_configs"]),
    }
    assert not {name for name in wanted if f"`{name}`" not in text}


def test_every_scenario_and_drift_is_in_the_reference(repository: Path) -> None:
    """A page and a row per scenario, a row per drift."""
    for path in (repository / "scenarios").glob("*.yaml"):
        assert f"\n# {path.stem}\n" in page(f"scenarios/{path.stem}.md")
        assert f"| [{path.stem}](scenarios/{path.stem}.md) |" in page("scenarios.md")
    assert not [name for name in DRIFTS if f"| `{name}` |" not in page("drifts.md")]


def test_every_file_of_a_run_is_in_the_reference() -> None:
    """A row per path of the layout."""
    text = page("files.md")
    layout = RunLayout(Path("run"))
    paths = [
        getattr(layout, n) for n, kind in vars(RunLayout).items() if isinstance(kind, property)
    ]
    assert not [p for p in paths if f"`{p.relative_to('run').as_posix()}`" not in text]


def test_every_page_is_listed() -> None:
    """The index of the reference links each page and each schema."""
    files = {path.name for path in REFERENCE.iterdir() if path.is_file()} - {"index.md"}
    assert files == set(LINK.findall(page("index.md"))) - {"../architecture.md"}
    assert {name for name, _, _ in PAGES} < files


def test_every_alert_has_its_runbook(repository: Path) -> None:
    """One page per alert, named and titled after it, linked by the rule and by the reference."""
    runbooks = {path.stem: path for path in (repository / "docs" / "runbooks").glob("*.md")}
    alerts = {rule["alert"]: rule for rule in rules(repository)}
    assert set(runbooks) == set(alerts)
    for alert, path in runbooks.items():
        assert path.read_text(encoding="utf-8").startswith(f"# {alert}\n")
        assert repository / alerts[alert]["annotations"]["runbook_url"] == path
        assert f"\n## {alert}\n" in page("alerts.md")
        assert f"(../runbooks/{alert}.md)" in page("alerts.md")


def test_every_alert_is_provoked_or_says_why_not() -> None:
    """A scenario expects it, it always fires, or the reference has a reason; never two of these."""
    scenarios = expecting()
    for alert, items in shipped_rules().items():
        beats = all(always_fires(rule["expr"]) for _, rule in items)
        found = [beats, alert in scenarios, alert in UNPROVOKED]
        assert found.count(True) == 1, alert
    assert set(UNPROVOKED) <= set(shipped_rules())


def test_every_part_of_a_verdict_is_explained() -> None:
    """Checks, outcomes of alerts and reasons are those of the code."""
    text = (HOW_TO / "read-a-verdict.md").read_text(encoding="utf-8")
    wanted = {
        *(f"`{reason}`" for reason in Reason),
        *(f"| {STATUS_TEXTS[status]} | `{status}` |" for status in AlertStatus),
        *(f"`counts {hop}`" for hop in HOPS),
        *(f"`limit {limit}`" for limit in LIMITS),
    }
    assert not {piece for piece in wanted if piece not in text}


def test_the_example_scenario_is_valid() -> None:
    """What the page on own scenarios shows can be played."""
    (example,) = blocks(HOW_TO / "bring-your-own.md", "yaml")
    scenario = Scenario.model_validate(example)
    alerts = {rule["alert"] for rule in rules(REPOSITORY)}
    assert {*scenario.allowed_alerts, *(e.alert for e in scenario.expected_alerts)} <= alerts


def test_the_example_rule_is_valid(run_tool: Callable[..., str], tmp_path: Path) -> None:
    """What the page on own rules shows passes the lint at every usual scale, and its own test."""
    rule, mark, test, heartbeat = blocks(HOW_TO / "write-rules.md", "yaml")
    assert set(mark["annotations"]) == {"testbed_unscaled"}
    for factor in (1, 30, 60):
        assert not lint({"mine.yml": rule, "beat.yml": heartbeat}, interval=15, factor=factor)
    assert always_fires(heartbeat["groups"][0]["rules"][0]["expr"])
    for folder, content in (("my-rules", rule), ("my-rules-test", test)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    run_tool("promtool", "test", "rules", tmp_path / "my-rules-test" / "mine.yml")


def test_the_rules_of_runs_from_cron_are_valid(
    run_tool: Callable[..., str], tmp_path: Path
) -> None:
    """They pass the lint, whose mark they bear, and the test that stands below them."""
    rule, test = blocks(HOW_TO / "drift-from-cron.md", "yaml")
    assert not lint({"cron.yml": rule}, interval=15, factor=30)
    for folder, content in (("my-rules", rule), ("my-rules-test", test)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cron.yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    run_tool("promtool", "check", "rules", "--lint=all", tmp_path / "my-rules" / "cron.yml")
    run_tool("promtool", "test", "rules", tmp_path / "my-rules-test" / "cron.yml")


@pytest.mark.slow
def test_the_python_examples_run(tmp_path: Path) -> None:
    """What the page on recording and reporting shows works as it stands, and says what it says."""
    text = (HOW_TO / "record-and-report.md").read_text(encoding="utf-8")
    programs = [body for kind, body in FENCE.findall(text) if kind == "python"]
    outputs = []
    for program in programs:
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        outputs.append(done.stdout)
    page_of_metrics, results, by_names = outputs
    assert 'ml_predictions_total{model_version="1.0",prediction_class="survived"} 1.0' in (
        page_of_metrics
    )
    assert 'ml_model_accuracy{model_version="1.0"} 0.83' in page_of_metrics
    assert 'ml_prediction_confidence{class="survived"} 0.9' in page_of_metrics
    assert "drift_share=0.50 age drifted: True" in results
    assert re.search(r"F1 0\.[89]\d -> 0\.[67]\d", results)
    files = sorted(path.name for path in (tmp_path / "reports").iterdir())
    assert files == [
        *("complet.html", "drift.html"),
        *("drift_january_vs_february.html", "drift_january_vs_february.json"),
    ]
    for line in (
        'ml_prediction_confidence{class="survived"} 0.9',
        'ml_model_accuracy{model_version="1.0"} 0.83',
        "ml_prediction_latency_seconds_sum 0.004",
        "reports/drift.html",
    ):
        assert line in by_names
    assert "F1" in (tmp_path / "reports" / "complet.html").read_text(encoding="utf-8")


def test_no_file_names_a_folder_of_one_machine(repository: Path) -> None:
    """No tracked file holds the path of somebody's home or working folder."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=False
    )
    if listing.returncode != 0:
        pytest.skip("this is no git checkout, so there is no list of tracked files")
    found = []
    for name in filter(None, listing.stdout.split("\0")):
        path = repository / name
        if not path.is_file():
            continue
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [f"{name}:{n}" for n, line in enumerate(lines, 1) if MACHINE_PATH.search(line)]
    assert not found
