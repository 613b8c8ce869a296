"""A user's Alertmanager configuration with every integration pointed at the run's receiver."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

import pytest
import yaml
from testbed.errors import UsageError
from testbed.redirection import redirect, require_receivers
from testbed_rules.timescale import TimeScale

from tests.support.yamltext import load_yaml

HTTP: Final = "127.0.0.1:9080"
SMTP: Final = "127.0.0.1:2525"
OWN: Final[dict[str, Any]] = load_yaml("""
global:
  resolve_timeout: 10m
  smtp_from: alerts@example.com
  smtp_smarthost: mail.example.com:587
  smtp_auth_password: s3cr3t
  slack_api_url: https://hooks.example.com/s3cr3t
  http_config: {proxy_url: http://s3cr3t}
templates: [templates/*.tmpl]
tracing: {endpoint: s3cr3t.example.com:4317}
time_intervals:
  - name: nights
    time_intervals: [{times: [{start_time: '22:00', end_time: '24:00'}]}]
route:
  receiver: nobody
  group_by: [alertname, team]
  group_interval: 5m
  routes:
    - receiver: pager
      matchers: ['severity="critical"']
      mute_time_intervals: [nights]
      group_wait: 30s
      repeat_interval: 1d
      continue: true
    - receiver: chat
inhibit_rules:
  - source_matchers: ['severity="critical"']
    target_matchers: ['severity="warning"']
    equal: [job]
receivers:
  - name: nobody
  - name: pager
    pagerduty_configs:
      - routing_key: s3cr3t
        details: {group_wait: how long}
      - service_key: s3cr3t
    pushover_configs: [{user_key: s3cr3t, token: s3cr3t}]
    carrierpigeon_configs: [{loft: s3cr3t}]
  - name: chat
    slack_configs: [{channel: '#ml'}, {channel: '#ops', send_resolved: true}]
    webhook_configs: [{url: https://s3cr3t, max_alerts: 3}]
    email_configs: [{to: oncall@example.com}]
""")


@pytest.fixture
def own() -> dict[str, Any]:
    """The configuration, for tests to change."""
    return deepcopy(OWN)


def redirected(own: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """The configuration for a run, and what became of it."""
    return redirect(own, TimeScale(60), file="alerts.yml", http=HTTP, smtp=SMTP)


def test_routes_inhibitions_and_intervals_stay_and_durations_are_scaled(
    own: dict[str, Any],
) -> None:
    """At any depth of the routes, and nowhere else: a detail of that name is a text."""
    tree, _ = redirected(own)
    assert tree["global"] == {"resolve_timeout": "10s", "smtp_from": "alerts@example.com"}
    assert tree["route"]["group_interval"] == "5s"
    pager, chat = tree["route"]["routes"]
    assert (pager["group_wait"], pager["repeat_interval"]) == ("500ms", "24m")
    assert pager["continue"] is True
    assert chat == {"receiver": "chat"}
    assert tree["inhibit_rules"] == own["inhibit_rules"]
    assert tree["time_intervals"] == own["time_intervals"]
    assert tree["receivers"][1]["pagerduty_configs"][0]["details"] == {"group_wait": "how long"}


def test_no_secret_and_no_address_of_the_user_is_left(own: dict[str, Any]) -> None:
    """Nor in what is said of it."""
    tree, found = redirected(own)
    assert "s3cr3t" not in yaml.safe_dump(tree)
    assert "mail.example.com" not in yaml.safe_dump(tree)
    assert "s3cr3t" not in found.model_dump_json()


def test_each_integration_has_an_address_of_its_own_and_each_receiver_a_witness(
    own: dict[str, Any],
) -> None:
    """So that what arrives is attributable; who notifies nobody goes on doing so."""
    tree, _ = redirected(own)
    nobody, pager, chat = tree["receivers"]
    assert nobody == {"name": "nobody"}
    assert pager["pagerduty_configs"][0]["url"] == f"http://{HTTP}/receivers/pager/pagerduty/0"
    assert [each["api_url"] for each in chat["slack_configs"]] == [
        f"http://{HTTP}/receivers/chat/slack/{index}" for index in (0, 1)
    ]
    (mail,) = chat["email_configs"]
    assert (mail["smarthost"], mail["hello"]) == (SMTP, "chat/email/0")
    witness = {"url": f"http://{HTTP}/notifications", "send_resolved": True}
    hook = {"url": f"http://{HTTP}/receivers/chat/webhook/0", "max_alerts": 3}
    assert chat["webhook_configs"] == [hook, witness]
    assert pager["webhook_configs"] == [witness]


def test_what_cannot_be_redirected_is_left_out_by_name(own: dict[str, Any]) -> None:
    """And what goes by the clock on the wall is named, too."""
    tree, found = redirected(own)
    assert "pushover_configs" not in tree["receivers"][1]
    assert len(tree["receivers"][1]["pagerduty_configs"]) == 1
    assert [str(each) for each in found.unrecorded] == [
        "pagerduty[1] of the receiver pager",
        "pushover[0] of the receiver pager",
        "carrierpigeon[0] of the receiver pager",
    ]
    notes = "\n".join(found.notes)
    assert "no integration carrierpigeon is known" in notes
    assert "not scaled: nights" in notes
    assert "`tracing` is not used" in notes


def test_whether_an_integration_hears_of_ends_is_as_alertmanager_has_it(
    own: dict[str, Any],
) -> None:
    """By its own word, else by the default of its kind."""
    _, found = redirected(own)
    assert [each.resolved for each in found.of("chat")] == [False, True, True, False]


def test_a_scenario_that_names_a_receiver_which_is_not_there_is_refused(
    own: dict[str, Any],
) -> None:
    """Where it does, and which there are."""
    require_receivers(own, {"chat": "the expected alert X"}, "alerts.yml")
    with pytest.raises(UsageError, match=r"alert X names .*'pagr'; alerts.yml has nobody, pager"):
        require_receivers(own, {"pagr": "the expected alert X"}, "alerts.yml")
