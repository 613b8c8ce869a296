"""Rules at a time scale: what is divided, and what is set aside."""

from __future__ import annotations

from typing import Any

import pytest
from testbed_rules.scaling import RuleNote, fitting_rules, scaled_rules


def files(*rules: dict[str, Any], name: str = "my.yml") -> dict[str, Any]:
    """One file with one group."""
    return {name: {"groups": [{"name": "g", "rules": list(rules)}]}}


def alert(name: str, expression: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - of YAML
    """An alerting rule."""
    return {"alert": name, "expr": expression, **more}


def names_of(documents: Any) -> list[str]:  # noqa: ANN401 - of YAML
    """Names of all rules."""
    return [
        rule.get("alert") or rule["record"]
        for document in documents.values()
        for group in document["groups"]
        for rule in group["rules"]
    ]


def test_ranges_numbers_and_waits_are_scaled_together() -> None:
    """The expression reads as in production, with every time divided."""
    given = files(alert("Old", "time() - a > 900 and increase(b[5m]) > 30", **{"for": "5m"}))
    (group,) = scaled_rules(given, 30)["my.yml"]["groups"]
    (rule,) = group["rules"]
    assert " ".join(rule["expr"].split()) == (
        "time() - a > 900 / 30 and increase(b[10s]) > 30 / 30"
    )
    assert rule["for"] == "10s"


def test_a_rule_that_can_not_be_scaled_is_set_aside_and_named() -> None:
    """The others are played; the reason says what to do."""
    given = files(alert("Flaps", "changes(a[5m]) > 2"), alert("Fails", "increase(a[5m]) > 2"))
    found = fitting_rules(given, interval=15, factor=30)
    assert names_of(found.files) == ["Fails"]
    (aside,) = found.aside
    assert (aside.rule, aside.group, aside.index) == ("Flaps", "g", 0)
    assert "mark the rule with testbed_unscaled" in str(aside)
    assert [(note.rule, note.reason) for note in found.divided] == [("Fails", "divided by 30: 2")]


def test_a_range_with_too_few_samples_is_set_aside() -> None:
    """It would be empty, and the alert silent."""
    given = files(alert("Short", "rate(a[30s]) > 0"), alert("Long", "rate(a[5m]) > 0"))
    found = fitting_rules(given, interval=15, factor=30)
    assert names_of(found.files) == ["Long"]
    assert "rate over 30s holds 2.0 samples" in found.aside[0].reason


def test_a_marked_rule_keeps_its_numbers() -> None:
    """Its author says that they are right at every scale."""
    marked = alert("Flaps", "changes(a[5m]) > 2", labels={"testbed_unscaled": "real restarts"})
    aged = alert("Old", "time() - a > 900", annotations={"testbed_unscaled": "real seconds"})
    found = fitting_rules(files(marked, aged), interval=15, factor=30)
    assert not found.aside
    assert not found.divided
    (group,) = scaled_rules(files(marked, aged), 30)["my.yml"]["groups"]
    assert [rule["expr"] for rule in group["rules"]] == ["changes(a[10s]) > 2", "time() - a > 900"]


def test_at_scale_one_nothing_is_set_aside_or_changed() -> None:
    """Production is what the rules were written for."""
    given = files(alert("Flaps", "changes(a[30s]) > 2"), alert("Odd", "increase(a[5m]) > b"))
    found = fitting_rules(given, interval=15, factor=1)
    assert (found.files, found.aside, found.divided) == (given, (), ())


def test_what_reads_a_series_of_a_rule_set_aside_is_set_aside() -> None:
    """Through any number of recordings; one that another rule still records goes on."""
    given = files(
        {"record": "a:flaps", "expr": "changes(a[5m]) + 1"},
        {"record": "b:flaps", "expr": "sum(a:flaps)"},
        alert("Flaps", "b:flaps > 0"),
        alert("Fine", "c > 3"),
    )
    found = fitting_rules(given, interval=15, factor=30)
    assert names_of(found.files) == ["Fine"]
    reasons = {note.rule: note.reason for note in found.aside}
    assert reasons["b:flaps"] == "it reads a:flaps, which is set aside"
    other = files({"record": "a:flaps", "expr": "rate(c[5m])"}, name="other.yml")
    again = fitting_rules(given | other, interval=15, factor=30)
    assert "Flaps" in names_of(again.files)


def test_what_reads_the_state_of_an_alert_set_aside_is_set_aside() -> None:
    """It would be silent; an alert that another rule still has goes on."""
    given = files(
        alert("Flaps", "changes(a[5m]) > 2"),
        alert("Both", 'ALERTS{alertname="Flaps"} and on () ALERTS{alertname="Fine"}'),
        alert("Long", 'time() - ALERTS_FOR_STATE{alertname=~"Fl.*"} > 0'),
        alert("Fine", 'ALERTS{alertname="Fine"} unless ALERTS{alertname!="Flaps"}'),
    )
    found = fitting_rules(given, interval=15, factor=30)
    assert names_of(found.files) == ["Fine"]
    reasons = {note.rule: note.reason for note in found.aside}
    assert reasons["Both"] == "it reads ALERTS of Flaps, which is set aside"
    assert reasons["Long"] == "it reads ALERTS_FOR_STATE of Flaps, which is set aside"


def test_series_are_followed_through_any_number_of_recordings() -> None:
    """As deep as rules record them; a series that is recorded from itself is not certain."""
    chain = [{"record": "s:0", "expr": "increase(a[5m])"}]
    chain += [{"record": f"s:{n}", "expr": f"sum(s:{n - 1})"} for n in range(1, 12)]
    given = files(*chain[::-1], alert("Deep", "s:11 > 30"))
    assert [n.rule for n in fitting_rules(given, interval=15, factor=30).divided] == ["Deep"]
    odd = files({"record": "r", "expr": "stdvar(r) + increase(a[5m])"}, alert("Odd", "r > 3"))
    assert "Odd" in {n.rule for n in fitting_rules(odd, interval=15, factor=30).aside}


def test_sums_of_samples_are_set_aside_where_fewer_come() -> None:
    """Samples come every 250 ms at the fastest, so that a range holds fewer beyond scale 60."""
    given = files(alert("Few", "count_over_time(a[1h]) < 200"), alert("Up", "avg_over_time(a[1h])"))
    assert not fitting_rules(given, interval=15, factor=60).aside
    (aside,) = fitting_rules(given, interval=15, factor=90).aside
    assert aside.rule == "Few"
    assert aside.reason.endswith("use one up to 60")


def test_an_offset_behind_a_comment_is_scaled() -> None:
    """It is one word to Prometheus."""
    given = files(alert("Old", "a offset # before\n 5m > 3"))
    (group,) = scaled_rules(given, 30)["my.yml"]["groups"]
    assert group["rules"][0]["expr"] == "a offset # before\n 10s > 3"


def test_a_files_own_recordings_count_before_those_of_others() -> None:
    """Two services may record one name, each in its own way."""
    share = {"record": "slo:errors", "expr": "rate(a[5m]) / rate(b[5m])"}
    count = {"record": "slo:errors", "expr": "increase(a[5m])"}
    given = files(share, alert("Share", "slo:errors > 0.1")) | files(
        count, alert("Count", "slo:errors > 30"), name="other.yml"
    )
    found = fitting_rules(given, interval=15, factor=30)
    assert not found.aside
    assert [note.rule for note in found.divided] == ["Count"]


def test_what_prometheus_can_not_evaluate_is_set_aside_at_every_scale() -> None:
    """With the reason that is given, and what reads it, too."""
    given = files({"record": "s", "expr": "histogram_share(a)"}, alert("S", "s > 1"))
    foreign = RuleNote("my.yml", "g", "s", 0, "of another language")
    found = fitting_rules(given, interval=15, factor=1, foreign=[foreign])
    assert names_of(found.files) == []
    assert [str(note) for note in found.aside] == [
        "my.yml: s: of another language",
        "my.yml: S: it reads s, which is set aside",
    ]


def test_queries_in_templates_are_scaled_like_the_expression() -> None:
    """In annotations and labels, in either quotes; words beside them stay."""
    text = (
        'in 5m: {{ with query "increase(b{c=\\"5m\\"}[5m]) > 30" }}{{ . | first | value }}{{ end }}'
    )
    texts = {"a": text, "b": "{{ query `rate(b[10m])` | len }}", "c": "{{ $labels.query }} [5m]"}
    given = files(alert("A", "a > 1", annotations=texts, labels={"d": '{{ query "b offset 1h" }}'}))
    (rule,) = scaled_rules(given, 30)["my.yml"]["groups"][0]["rules"]
    assert rule["annotations"] == {
        "a": text.replace("[5m]", "[10s]").replace("> 30", "> 30 / 30"),
        "b": '{{ query "rate(b[20s])" | len }}',
        "c": texts["c"],
    }
    assert rule["labels"] == {"d": '{{ query "b offset 2m" }}'}
    assert fitting_rules(given, interval=15, factor=30).unscaled == ()
    (rule,) = scaled_rules(given, 1)["my.yml"]["groups"][0]["rules"]
    assert rule["annotations"] == texts


@pytest.mark.parametrize(
    "action",
    ["printf \"rate(b{c='%s'}[5m])\" $labels.c | query", "query $text", 'query "rate(b[5m]"'],
)
def test_a_query_that_can_not_be_scaled_is_named(action: str) -> None:
    """It stays as it is written, and the rule is played."""
    text = {"summary": f"{{{{ range {action} }}}}x{{{{ end }}}}"}
    given = files(alert("A", "a > 1", annotations=text))
    (rule,) = scaled_rules(given, 30)["my.yml"]["groups"][0]["rules"]
    assert rule["annotations"] == text
    found = fitting_rules(given, interval=15, factor=30)
    assert names_of(found.files) == ["A"]
    assert [str(note) for note in found.unscaled] == [
        "my.yml: A: the query in its annotation summary is not scaled"
    ]
