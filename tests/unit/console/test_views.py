"""The console's pure half: what its parts are made of, and that they escape."""

from __future__ import annotations

from testbed.charts import ChartLine
from testbed.clients.prometheus import ActiveAlert, AlertRule
from testbed.consoleapp import asking, pages
from testbed.consoleapp.components import component_rows
from testbed.consoleapp.live import changed, event
from testbed.consoleapp.notices import notice_row, notice_rows, receiver_rows, route_of
from testbed.consoleapp.overview import summary
from testbed.consoleapp.programme import programme
from testbed.consoleapp.readings import LiveRule, alert_rows, limits_of, state_of
from testbed.consoleapp.svg import HEIGHT, WIDTH, draw
from testbed.resources import find_scenario
from testbed.scenario import read_scenario

from tests.browser import EVERYTHING

NOTICE = {
    "received_at": 112.5,
    "status": "firing",
    "alertname": "HighErrorRate",
    "labels": {"alertname": "HighErrorRate", "severity": "critical", "job": "api"},
    "annotations": {"summary": "Errors", "runbook_url": "docs/runbooks/HighErrorRate.md"},
    "starts_at": 110.0,
    "ends_at": None,
    "group_key": '{}/{severity="critical"}:{alertname="HighErrorRate"}',
    "receiver": "critical",
    "fingerprint": "f1",
}


def _event(kind: str, at: float, name: str = "", **details: object) -> dict[str, object]:
    return {"event": kind, "time": at, "name": name, **details}


def test_components_are_as_their_last_event_says() -> None:
    """One that crashed says how, one that came back is ready, what is no component is left out."""
    events = [
        _event("run_started", 1, "demo"),
        _event("component_started", 2, "api", pid=7),
        _event("component_ready", 3, "api"),
        _event("component_started", 2, "collector", pid=8),
        _event("component_crashed", 9, "collector", outcome="ended with exit code 1"),
    ]
    api, collector = component_rows(events, {"api": 7}, {"api": "up"})
    assert (api.state, api.pid, api.scraped, api.well) == ("ready", 7, "up", True)
    assert (collector.state, collector.detail) == ("crashed", "ended with exit code 1")
    assert not collector.well


def test_the_programme_says_where_the_run_is() -> None:
    """Before the load all phases are to come; then one is now; after it all are over."""
    scenario = read_scenario(find_scenario("error-burst"))
    begun = [_event("run_started", 1, "error-burst")]
    waiting = programme("id", scenario, 30.0, begun, 100.0)
    assert (waiting.stage, waiting.elapsed, waiting.now) == ("starting the stack", None, None)
    assert waiting.next == waiting.phases[0]
    loaded = [*begun, _event("load_started", 100)]
    second = waiting.phases[1]
    middle = programme("id", scenario, 30.0, loaded, 100 + second.start + 1)
    assert middle.now is not None
    assert middle.now.name == second.name
    assert middle.now.faults
    assert middle.next == middle.phases[2]
    over = programme("id", scenario, 30.0, [*loaded, _event("load_ended", 900)], 901.0)
    assert {phase.place for phase in over.phases} == {"over"}
    assert over.stage.startswith("settling")


def test_a_delay_counts_from_the_first_notification_of_an_alert() -> None:
    """Repeated ones say nothing of the delay; resolved ones count from the alert's end."""
    again = NOTICE | {"received_at": 300.0}
    resolved = NOTICE | {"status": "resolved", "received_at": 401.0, "ends_at": 400.0}
    (row,) = receiver_rows([NOTICE, again, resolved])
    assert (row.receiver, row.firing, row.resolved) == ("critical", 1, 1)
    assert row.usual == row.longest == 2.5
    assert notice_row(NOTICE).delay == 2.5
    assert notice_row(resolved).delay == 1.0
    assert pages.delay(2.5, 30.0) == "2.5 s (1m15s)"


def test_a_notification_shows_its_route_and_its_runbook() -> None:
    """The route is the group key without the group's labels; a runbook of the rules opens here."""
    row = notice_row(NOTICE)
    assert row.route == '{}/{severity="critical"}'
    assert route_of("{}:{}") == "{}"
    assert row.labels == {"job": "api"}
    assert pages.runbook(row.runbook) == "/runbooks/HighErrorRate.md"
    assert pages.runbook("file:///somewhere/docs/runbooks/X.md") == "/runbooks/X.md"
    assert pages.runbook("https://example.org/r") == "https://example.org/r"
    assert pages.runbook("javascript:alert(1)") == ""
    for placeholder in ("http://[host]/r", "http://[::1"):  # one rule must not end all pages
        assert (pages.runbook(placeholder), pages.opens(placeholder)) == ("", "")


def test_heartbeats_are_left_out_and_repetitions_are_named() -> None:
    """Nobody has to act on a heartbeat; the delay of a repetition would say nothing."""
    beat = NOTICE | {"labels": {"alertname": "Watchdog", "severity": "none"}, "received_at": 500.0}
    again = NOTICE | {"received_at": 300.0}
    rows = notice_rows([NOTICE, beat, again], 10)
    assert [(row.received_at, row.repeated) for row in rows] == [(300.0, True), (112.5, False)]
    assert [row.received_at for row in notice_rows([NOTICE, beat, again], 1)] == [300.0]


def test_the_summary_names_what_fires_and_where_the_run_is() -> None:
    """One sentence, which is read out when it changes; a stack that can't be asked says so."""
    alert = ActiveAlert({"alertname": "A"}, {}, "firing")
    rule = LiveRule(AlertRule("A", "g", "x > 1", 0, "firing", "ok", alerts=(alert,)), "firing")
    assert summary(None, alert_rows([rule]), "") == "Firing: A."
    assert summary(None, [], "Prometheus is gone") == "Prometheus is gone"
    scenario = read_scenario(find_scenario("error-burst"))
    begun = programme("id", scenario, 30.0, [_event("load_started", 0)], 1.0)
    assert begun.now is not None
    assert summary(begun, [], "") == f"error-burst: load, phase {begun.now.name}. No alert fires."


def test_a_rule_says_its_limit_and_a_heartbeat_is_none_to_act_on() -> None:
    """Comparisons of the expression are its limits; alerts of a heartbeat are not listed."""
    alert = ActiveAlert({"alertname": "A"}, {"summary": "a"}, "firing", 0.25, 100.0)
    rule = AlertRule("A", "g", "sum(rate(e[1m])) > 0.05 and x < 3", 5, "firing", "ok")
    (first, second) = limits_of(rule)
    assert (first.operator, first.limit, second.operator, second.limit) == (">", 0.05, "<", 3.0)
    beating = AlertRule("W", "g", "vector(1)", 0, "firing", "ok", alerts=(alert,))
    assert state_of(beating) == "heartbeat"
    rows = [LiveRule(beating, "heartbeat")]
    assert alert_rows(rows) == []


def test_a_chart_keeps_holes_open_and_stays_inside() -> None:
    """A line with a hole has two stretches; every point lies in the view box."""
    points = ((0.0, 1.0), (1.0, 3.0), (2.0, None), (3.0, 2.0), (4.0, 5.0))
    drawn = draw([ChartLine(name="a", points=points)], 0.0, 4.0)
    (line,) = drawn.lines
    assert len(line.paths) == 2
    assert line.last == 5.0
    assert (drawn.low, drawn.high) == (0.0, 5.0)
    pairs = [pair.split(",") for path in line.paths for pair in path.split()]
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in pairs)
    assert draw([], 0.0, 1.0).lines == ()


def test_a_flat_line_and_many_lines_can_be_drawn() -> None:
    """No division by zero, and what has no colour is counted."""
    flat = ChartLine(name="a", points=((0.0, 0.0), (1.0, 0.0)))
    drawn = draw([flat] * 11, 0.0, 1.0)
    assert (len(drawn.lines), drawn.left_out) == (8, 3)
    assert drawn.high > drawn.low


def test_only_what_changed_is_streamed() -> None:
    """A part that a page shows already isn't sent again; an event is one line of data."""
    parts = {"now": "a", "runs": "b"}
    assert changed(parts, {"now": "a", "runs": "x"}) == {"runs": "b"}
    sent = event("now", "<p>\n</p>")
    assert sent == 'event: part\ndata: {"id": "now", "html": "<p>\\n</p>"}\n\n'


def test_hostile_texts_are_escaped_on_every_page() -> None:
    """Texts of notifications, spans, records and queries never become elements."""
    hostile = notice_row(
        NOTICE
        | {"alertname": EVERYTHING, "receiver": EVERYTHING, "group_key": EVERYTHING}
        | {"annotations": {"summary": EVERYTHING, "description": EVERYTHING}}
        | {"labels": {"a": EVERYTHING}}
    )
    html = pages.render(
        "part_notifications", notices=[hostile], receivers=[], messages=[], factor=1.0, damaged=0
    )
    html += pages.render("part_summary", text=EVERYTHING)
    html += pages.render(
        "message", run="r", here="", title=EVERYTHING, text=EVERYTHING, html="", heading=True
    )
    assert EVERYTHING not in html
    assert "<img" not in html
    assert "<svg onload" not in html


def test_what_prometheus_says_of_a_query_is_shown_in_its_words() -> None:
    """Where it was asked is no news to who asked."""
    said = "Prometheus at http://127.0.0.1:9090/api/v1/query answered 400: 1:4: parse error: x"
    assert asking.in_words(said) == "1:4: parse error: x"


def test_log_lines_lead_to_their_traces() -> None:
    """By the id that a line names, however it writes it."""
    trace = "0" * 31 + "a"
    text = f'{{"trace_id": "{trace}"}}\ntrace_id={trace} x\nnothing'
    assert [found for _, found in asking.log_lines(text)] == [trace, trace, ""]


def test_spans_of_time_are_readable() -> None:
    """Each in the unit that suits it."""
    assert [pages.span(each) for each in (2.5, 0.0123, 0.000045, None)] == [
        "2.5 s",
        "12.3 ms",
        "45 \u00b5s",
        "\u2013",
    ]


def test_what_turns_the_direction_of_writing_is_written_out() -> None:
    """Unseen, it would show 1.5 beside it as 5.1; what is rendered already stays."""
    page = pages.render("part_summary", text="a\u202eb \u2067c")
    assert page == "<p>a\\u202eb \\u2067c</p>"
    turned = pages.render("part_charts", charts=[], problem="\u202e<b>")
    assert "\\u202e&lt;b&gt;" in turned
