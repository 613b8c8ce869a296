"""The report: complete, whole without a network, and safe whatever a run contains."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from testbed.charts import Chart, ChartLine
from testbed.checks.results import RuleLimitRow, RuleRow
from testbed.errors import UsageError
from testbed.facts.rulecharts import anchor
from testbed.layout import RunLayout
from testbed.report import render_table, rewrite_report, write_outcome, write_report
from testbed.report.junit import junit_xml
from testbed.report.page import drift_link, render_page
from testbed.report.previous import since_previous
from testbed.scenario import Scenario
from testbed.snapshot import LoadedRule
from testbed.texts import passing_limits
from testbed.verdict import evaluate, write_verdict

from .conftest import EVIL, FACTOR, SCENARIO

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.report.conftest import FinishedRun

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """Elements, text and scripts of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "every element must be closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the element."""
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the element."""
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep text; that of scripts apart."""
        if self._open and self._open[-1] == "script":
            attributes, found = self.scripts[-1]
            self.scripts[-1] = (attributes, found + data)
        elif not self._open or self._open[-1] != "style":
            self.text += data


@pytest.fixture
def source(finished: FinishedRun) -> str:
    """The report's source."""
    return write_report(finished.layout, finished.verdict, finished.evidence).read_text()


@pytest.fixture
def page(source: str) -> Page:
    """The report, parsed."""
    return Page(source)


def test_the_report_holds_every_part_of_the_verdict(page: Page, finished: FinishedRun) -> None:
    """Each check, alert, hop, limit, instance, part event and version can be read."""
    verdict = finished.verdict
    wanted = [check.name for check in verdict.checks]
    wanted += [alert.alert for alert in verdict.alerts] + [hop.title for hop in verdict.hops]
    wanted += [limit.title for limit in verdict.limits] + ["api-1", "injected_error"]
    wanted += ["Failed", "synthetic: drawn from a generator", "30 \u00d7", "3.15.0", "8.0 GiB"]
    wanted += ["crashed", "NO_ACTION", "12.50%"]
    assert [text for text in wanted if text not in page.text] == []


def test_the_report_needs_no_network(page: Page) -> None:
    """Nothing is loaded from anywhere, and no link leads out."""
    addresses = [
        value
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in {"src", "href", "action", "data", "srcset"} and value is not None
    ]
    assert addresses
    assert not [address for address in addresses if "//" in address or ":" in address]
    styles = re.findall(r"@import|url\(", "".join(str(a.get("style")) for _, a in page.elements))
    assert styles == []


def test_nothing_from_the_run_becomes_markup(page: Page) -> None:
    """Labels, names and reasons stay text, in the page and in the data of the figure."""
    assert [tag for tag, _ in page.elements if tag == "img"] == []
    assert len(page.scripts) == 3
    assert 'Evil<script>alert("x")</script>' in page.text
    handlers = [a for _, attributes in page.elements for a in attributes if a.startswith("on")]
    assert handlers == []


def test_only_the_reports_own_scripts_may_run(page: Page) -> None:
    """The security policy lists their hashes, and they match what a browser would hash."""
    policy = next(
        str(attributes["content"])
        for tag, attributes in page.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    runnable = [text for attributes, text in page.scripts if "type" not in attributes]
    assert len(runnable) == 2
    hashes = [hashlib.sha256(text.encode()).digest() for text in runnable]
    assert [base64.b64encode(digest).decode() for digest in hashes] == allowed


def test_plotly_stands_in_the_report_once(source: str) -> None:
    """It is by far the largest part."""
    assert source.count("Plotly, Inc.") == 1
    assert len(source) < 6_000_000


def test_the_figure_shows_the_run_and_escapes_its_text(page: Page) -> None:
    """Phases as bands, alerts and faults as bars, notifications as marks, series as lines."""
    assert "<" not in next(text for attributes, text in page.scripts if attributes.get("type"))
    figure = _figure(page)
    bands = figure["layout"]["shapes"]
    assert [(band["x0"], band["x1"]) for band in bands] == [(0.0, 10.0), (10.0, 30.0)]
    bars = {str(t["y"]): (t["base"][0], t["x"][0]) for t in figure["data"] if t["type"] == "bar"}
    assert bars["['fault']"] == (10.0, 20.0)
    assert bars["['HighErrorRate']"] == (16.0, 14.0)
    names = {trace.get("name") for trace in figure["data"]}
    assert {"status 200", "p95", "5xx", "ratio", "notified: firing", "sent by the load"} <= names
    # Plotly reads tags in text: none may come through, or it would draw (and link) them.
    tagged = [s for s in _strings(figure) if "<script" in s or "<img" in s]
    assert tagged == []


def _figure(page: Page) -> dict[str, Any]:
    text = next(text for attributes, text in page.scripts if attributes.get("type"))
    found: dict[str, Any] = json.loads(text)
    return found


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []


def test_every_chart_has_its_numbers_as_a_table(page: Page, finished: FinishedRun) -> None:
    """For readers who don't see the figure; tables have captions or headings and header cells."""
    for chart in finished.evidence.snapshot.charts:
        assert f"{chart.title} in numbers" in page.text
    figure = next(attributes for _, attributes in page.elements if attributes.get("id") == "figure")
    assert "HighErrorRate (1)" in str(figure["aria-label"])
    headers = [attributes for tag, attributes in page.elements if tag == "th"]
    assert headers
    assert all(attributes.get("scope") in {"col", "row"} for attributes in headers)


def test_a_failed_alert_has_its_values_and_its_row(finished: FinishedRun) -> None:
    """A chart of its own, linked from what failed, and a row even where nothing was seen of it.

    Alerts that did what they should have none.
    """
    snapshot = finished.evidence.snapshot
    line = ChartLine(name="value", points=((1000.0, 3.0), (1020.0, 7.0)))
    charts = [
        Chart(key=f"rule:{name}", title=f"{name}: value", unit="unit", lines=(line,))
        for name in ("HighErrorRate", f"Evil{EVIL}")
    ]
    changed = snapshot.model_copy(update={"charts": (*snapshot.charts, *charts), "spans": ()})
    evidence = replace(finished.evidence, snapshot=changed, notifications=())
    scenario = Scenario.model_validate(SCENARIO)
    silent = Page(render_page(evaluate(scenario, evidence, FACTOR), evidence))
    ids = {attributes.get("id") for _, attributes in silent.elements}
    links = {attributes.get("href") for tag, attributes in silent.elements if tag == "a"}
    assert "values-HighErrorRate" in ids
    assert "#values-HighErrorRate" in links
    figure = _figure(silent)
    assert "HighErrorRate" in figure["layout"]["yaxis"]["categoryarray"]
    assert [a["text"] for a in figure["layout"]["annotations"]].count("HighErrorRate: value (unit)")
    fired = replace(
        finished.evidence, snapshot=changed.model_copy(update={"spans": snapshot.spans})
    )
    page = Page(render_page(evaluate(scenario, fired, FACTOR), fired))
    shown = {attributes.get("id") for _, attributes in page.elements}
    assert "values-HighErrorRate" not in shown
    assert anchor(f"Evil{EVIL}") in shown


@pytest.mark.slow
def test_runbooks_are_linked_where_they_can_be_opened(finished: FinishedRun) -> None:
    """From the alert; what is no address is no link, as a script would be."""
    snapshot = finished.evidence.snapshot

    def hrefs(link: str) -> set[str | None]:
        rule = LoadedRule(name="HighErrorRate", annotations={"runbook_url": link})
        evidence = replace(
            finished.evidence, snapshot=snapshot.model_copy(update={"rules": (rule,)})
        )
        elements = Page(render_page(finished.verdict, evidence)).elements
        return {attributes.get("href") for tag, attributes in elements if tag == "a"}

    assert "file:///docs/a.md" in hrefs("file:///docs/a.md")
    assert "https://wiki/a" in hrefs("https://wiki/a")
    for link in ("javascript:alert(1)", "docs/runbooks/A.md", ""):
        assert link not in hrefs(link)


def test_drift_reports_are_linked_within_their_folder(page: Page) -> None:
    """A file name can't lead elsewhere."""
    found = [str(attributes["href"]) for tag, attributes in page.elements if tag == "a"]
    links = [link for link in found if not link.startswith("#")]
    assert links == ["drift/drift_training_vs_now.html", "drift/javascript%3Aalert%281%29.json"]
    assert drift_link("..\\..\\x.html") == "drift/x.html"


def test_a_run_that_left_almost_nothing_still_gets_a_report(finished: FinishedRun) -> None:
    """No series, no alert, no phase, no part."""
    bare = finished.evidence.snapshot.model_copy(
        update={"charts": (), "spans": (), "log": None, "api": {}, "prometheus": {}}
    )
    finished.layout.series.write_text(bare.model_dump_json())
    finished.layout.timeline.unlink()
    finished.layout.notifications.unlink()
    (finished.layout.drift / "runs.jsonl").unlink()
    write_outcome(finished.layout, finished.verdict, finished.evidence)
    rewrite_report(finished.layout)
    assert "It never ran" not in finished.layout.report_file.read_text()
    empty = finished.verdict.model_copy(
        update={
            "phases": (), "alerts": (), "instances": (), "hops": (), "limits": (),
            "drift": finished.verdict.drift.model_copy(update={"runs": (), "decision": None}),
        }
    )  # fmt: skip
    write_outcome(finished.layout, empty, finished.evidence)
    rewrite_report(finished.layout)
    text = Page(finished.layout.report_file.read_text()).text
    assert "It never ran" in text
    assert "no instance is known" in text


def test_the_outcome_is_written_and_the_report_made_again(finished: FinishedRun) -> None:
    """From the folder alone, the same verdict and the same report come out."""
    write_outcome(finished.layout, finished.verdict, finished.evidence)
    before = finished.layout.report_file.read_text()
    finished.layout.report_file.unlink()
    assert rewrite_report(finished.layout) == finished.verdict
    assert finished.layout.report_file.read_text() == before


def test_a_run_without_a_verdict_is_refused(tmp_path: Path) -> None:
    """One line that says what is missing."""
    layout = RunLayout(tmp_path)
    with pytest.raises(UsageError, match="holds no verdict"):
        rewrite_report(layout)
    layout.verdict_file.write_text("{}")
    with pytest.raises(UsageError, match="another version"):
        rewrite_report(layout)


def test_junit_has_one_case_per_check(finished: FinishedRun) -> None:
    """Failures carry their reason; the counts are right."""
    root = ET.fromstring(junit_xml(finished.verdict))  # noqa: S314 - written a line before
    (suite,) = root.findall("testsuite")
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [c.name for c in finished.verdict.checks]
    assert suite.get("tests") == str(len(cases))
    failures = {case.get("name"): case.find("failure") for case in cases if len(case)}
    assert suite.get("failures") == str(len(failures)) == str(len(finished.verdict.failed))
    alarm = failures["unexpected alerts"]
    assert alarm is not None
    assert 'alert("x")' in str(alarm.get("message"))


def test_junit_survives_characters_that_xml_lacks(finished: FinishedRun) -> None:
    """Control characters in a label must not break the whole file."""
    checks = (finished.verdict.checks[0].model_copy(update={"name": "a\x00b\x1bc\ud800"}),)
    verdict = finished.verdict.model_copy(update={"checks": checks})
    root = ET.fromstring(junit_xml(verdict))  # noqa: S314 - written just here
    (case,) = root.iter("testcase")
    assert case.get("name") == "a\ufffdb\ufffdc\ufffd"


def test_the_terminal_shows_alerts_losses_and_reasons(finished: FinishedRun) -> None:
    """Names from a run are no markup of the terminal either."""
    console = Console(width=160, record=True, file=None, quiet=False, force_terminal=False)
    with console.capture() as capture:
        console.print(render_table(finished.verdict))
    text = capture.get()
    assert "HighErrorRate" in text
    assert "fired as expected" in text
    assert "66 injected_error" in text
    assert "✗ unexpected alerts" in text
    assert text.rstrip().splitlines()[-1].startswith("✗ FAILED")


def test_square_brackets_in_names_stay_text(finished: FinishedRun) -> None:
    """Rich would read them as markup."""
    row = finished.verdict.alerts[0].model_copy(update={"alert": "[red]Odd[/red]"})
    verdict = finished.verdict.model_copy(update={"alerts": (row,)})
    console = Console(width=160)
    with console.capture() as capture:
        console.print(render_table(verdict))
    assert "[red]Odd[/red]" in capture.get()


def test_what_a_run_proves_of_its_rules_is_shown(finished: FinishedRun) -> None:
    """A table in the report, one line in the terminal."""
    limit = RuleLimitRow(
        expression="errors", operator=">", limit=0.1, fault=5.0, bounded=True,
        passes_from=0.0, passes_to=4.5,
    )  # fmt: skip
    row = RuleRow(
        alert="HighErrorRate", labels={"severity": "warning", "cause": "losing"},
        expression="errors > 0.1", exercised=True, limits=(limit,), mutants=70, killed=68, alike=1,
        survivors=("`for` removed", "limit <b>"),
    )  # fmt: skip
    verdict = finished.verdict.model_copy(update={"rules": (row,)})
    page = render_page(verdict, finished.evidence)
    assert "68 of 70" in page
    assert "0 to 4.5" in page
    assert "cause: losing" in page
    assert "limit &lt;b&gt;" in page
    console = Console(width=160)
    with console.capture() as capture:
        console.print(render_table(verdict))
    line = "mutants: 68 of 70 killed; survivors of HighErrorRate: `for` removed, limit <b>"
    assert line in capture.get()


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(None, None, "any"), (None, 2.0, "up to 2"), (1.0, None, "from 1"), (1.0, 2.0, "1 to 2")],
)
def test_the_limits_that_would_pass(low: float | None, high: float | None, text: str) -> None:
    """A side without a bound is said so."""
    row = RuleLimitRow(
        expression="x", operator=">", limit=1.5, bounded=True, passes_from=low, passes_to=high
    )
    assert passing_limits(row) == text
    assert passing_limits(row.model_copy(update={"bounded": False})) == "\u2013"


def test_every_section_can_be_linked_to(finished: FinishedRun) -> None:
    """The list of sections names those that are there, and each heading links to itself."""
    page = Page(render_page(finished.verdict, finished.evidence))
    ids = [attributes.get("id") for tag, attributes in page.elements if tag == "h2"]
    links = [attributes.get("href") for tag, attributes in page.elements if tag == "a"]
    for place in ids:
        assert links.count(f"#{place}") == 2, place


def test_the_report_says_what_changed_since_the_previous_run(finished: FinishedRun) -> None:
    """That of the same scenario which ended last before it; one that is damaged is passed over."""
    runs = finished.layout.root.parent
    verdict = finished.verdict
    assert since_previous(finished.layout, verdict) is None

    def leave(name: str, minutes: float, scenario: str, folder: str | None = None) -> None:
        layout = RunLayout(runs / (folder or name)).create()
        identity = verdict.run.model_copy(update={"id": name, "scenario": scenario})
        times = {
            "started_at": verdict.started_at - 60 * minutes,
            "ended_at": verdict.ended_at - 60 * minutes,
        }
        write_verdict(layout, verdict.model_copy(update={"run": identity, "checks": (), **times}))
        layout.run_file.write_text(json.dumps({"scenario": scenario}))

    leave("older", 20, verdict.run.scenario)
    leave("previous <b>", 10, verdict.run.scenario, "its own <b>")  # as --out names it
    leave("other", 5, "normal")
    leave("broken", 4, verdict.run.scenario)
    RunLayout(runs / "broken").verdict_file.write_text("{")
    leave("later", -10, verdict.run.scenario)
    found = since_previous(finished.layout, verdict)
    assert found is not None
    assert (found.since.before, found.since.after) == ("previous <b>", verdict.run.id)
    assert found.since.regressions
    page = Page(write_report(finished.layout, verdict, finished.evidence).read_text())
    assert "Since the previous run" in page.text
    assert ("a", {"href": "../its%20own%20%3Cb%3E/report.html"}) in page.elements
