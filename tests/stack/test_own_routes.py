"""Configurations of Alertmanager and Prometheus of one's own: who got what, and the verdict."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from testbed_receiver.integrations import INTEGRATIONS

from tests.support.typedpage import typed_in

from .playing import failed_checks, play

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.commandline import CommandLine

RULES: Final = """
groups:
  - name: own
    interval: 15s
    rules:
      - &page
        alert: PredictionsFail
        expr: >-
          sum by (job) (rate(http_server_request_duration_seconds_count{job="ml-api",
          http_response_status_code=~"5.."}[2m])) > 0.1
        for: 30s
        labels: {severity: critical, team: ml}
        annotations: {summary: Predictions fail.}
      - <<: *page
        alert: ServiceFails
        annotations: {summary: The service fails.}
      - <<: *page
        alert: BudgetBurns
        labels: {severity: warning, team: ml}
        annotations: {summary: The error budget burns.}
"""
PROMETHEUS: Final = """
global:
  scrape_interval: 15s
  evaluation_interval: 15s
  external_labels: {region: eu}
rule_files: [rules/*.yml]
remote_write: [{url: https://example.com/write}]
scrape_configs:
  - job_name: my-api
    static_configs: [{targets: ['localhost:9464']}]
  - job_name: elsewhere
    static_configs: [{targets: ['127.0.0.1:9']}]
"""
TEMPLATE: Final = """
{{ define "own.text" }}{{ len .Alerts.Firing }} firing for {{ .CommonLabels.team }}:
{{- range .Alerts }} {{ .Annotations.summary }}{{ end }}{{ end }}
"""
TEXT: Final = '{{ template "own.text" . }}'
ALERTMANAGER: Final = f"""
global:
  smtp_from: alerts@example.com
  smtp_smarthost: mail.example.com:587
  smtp_auth_username: alerts@example.com
  smtp_auth_password_file: /nowhere/s3cr3t
  slack_api_url: https://hooks.example.com/services/s3cr3t
  opsgenie_api_key: s3cr3t
templates: [templates/*.tmpl]
time_intervals:
  - name: last century
    time_intervals: [{{years: ['1999']}}]
route:
  receiver: nobody
  group_by: [team]
  group_wait: 30s
  group_interval: 2m
  repeat_interval: 4h
  routes:
    - receiver: on call/ML
      matchers: [severity="critical"]
      mute_time_intervals: [last century]
      continue: true
    - receiver: torn
      matchers: [severity="critical"]
      continue: true
    - receiver: chat
      matchers: [team="ml"]
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity="warning"]
    equal: [team]
receivers:
  - name: nobody
  - name: dba
    webhook_configs: [{{url: https://example.com/s3cr3t}}]
  - name: torn
    slack_configs: [{{channel: '#ml', text: '{{{{ .Nothing }}}}'}}]
  - name: on call/ML
    pagerduty_configs: [{{routing_key: s3cr3t, description: '{TEXT}'}}]
    opsgenie_configs: [{{message: '{TEXT}', update_alerts: true}}]
    victorops_configs: [{{api_key: s3cr3t, routing_key: ml, state_message: '{TEXT}'}}]
    sns_configs: [{{topic_arn: 'arn:x', sigv4: {{region: eu-west-1}}, message: '{TEXT}'}}]
    jira_configs:
      - {{api_url: https://example.com/rest/api/2, project: ML, issue_type: Bug, summary: '{TEXT}'}}
    incidentio_configs: [{{url: https://example.com/s3cr3t, alert_source_token: s3cr3t}}]
    pushover_configs: [{{user_key: s3cr3t, token: s3cr3t}}]
  - name: chat
    slack_configs: [{{channel: '#ml', text: '{TEXT}'}}]
    msteams_configs: [{{webhook_url: https://example.com/s3cr3t, text: '{TEXT}'}}]
    msteamsv2_configs: [{{webhook_url: https://example.com/s3cr3t, text: '{TEXT}'}}]
    email_configs: [{{to: oncall@example.com, text: '{TEXT}', html: ''}}]
    webhook_configs: [{{url: 'https://example.com/{{{{ .GroupLabels.team }}}}'}}]
    discord_configs: [{{webhook_url: https://example.com/s3cr3t, message: '{TEXT}'}}]
    mattermost_configs: [{{webhook_url: https://example.com/s3cr3t, text: '{TEXT}'}}]
    telegram_configs: [{{bot_token: s3cr3t, chat_id: -7, message: '{TEXT}', parse_mode: ''}}]
    webex_configs:
      - room_id: r
        message: '{TEXT}'
        http_config: {{authorization: {{credentials: s3cr3t}}}}
    wechat_configs: [{{api_secret: s3cr3t, corp_id: c, message: '{TEXT}'}}]
    rocketchat_configs: [{{token: s3cr3t, token_id: s3cr3t, text: '{TEXT}'}}]
"""
SCENARIO: Final = """
name: pages
title: Who is paged
description: Errors page one team once, and its chat; the ticket is inhibited.
time_scale: 60
phases:
  - {name: normal, duration: 3m, rate: 20}
  - {name: failing, duration: 8m, rate: 20, faults: [{kind: errors, ratio: 0.2}]}
  - {name: recovery, duration: 4m, rate: 20}
settle: 10m
expected_alerts:
  - &page
    {alert: PredictionsFail, phase: failing, within: 8m, resolves_within: 12m,
     receiver: on call/ML, contains: Predictions fail., count: 1}
  - {alert: PredictionsFail, phase: failing, within: 8m, receiver: chat, count: {min: 1, max: 2},
     contains: [The service fails.]}
  - {<<: *page, alert: ServiceFails, contains: The service fails.}
  - {alert: ServiceFails, phase: failing, within: 8m, receiver: dba}
allowed_alerts: [BudgetBurns]
forbidden_notifications:
  - {alert: BudgetBurns, receiver: chat}
  - {alert: PredictionsFail, receiver: dba}
limits: {error_ratio: 0.3}
"""


def test_own_receivers_get_what_a_scenario_says_and_a_wrong_route_is_the_cause(
    command_line: CommandLine, tmp_path: Path
) -> None:
    """Grouped, inhibited, rendered and delivered to 17 integrations by an unmodified Alertmanager.

    One expectation is of a receiver that no route leads to, and one template can't be rendered:
    these two fail, each with its cause.
    """
    files = {"rules/own.yml": RULES, "templates/own.tmpl": TEMPLATE, "pages.yaml": SCENARIO}
    files |= {"alertmanager.yml": ALERTMANAGER, "prometheus.yml": PROMETHEUS}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    _, *typed = typed_in("how-to/own-routes.md", "--alertmanager", {"my-pages.yaml": "pages.yaml"})
    _, _, *prometheus = typed_in("how-to/bring-your-own.md", "--prometheus prometheus.yml")
    result = play(command_line, *typed, *prometheus, "--without", "drift")
    assert result.code == 1, result.output
    assert "pushover[0] of the receiver on call/ML is not played" in result.output
    assert "not scaled: last century" in result.output
    assert "prometheus: `remote_write` is not used" in result.output

    failed = failed_checks(result)
    assert set(failed) == {
        "drift decision",  # without its job
        "alert ServiceFails in failing at dba",
        "notified receivers",
        "rendered messages",
        "deliveries",
    }, result.output
    checks = {check["name"]: check for check in result.verdict["checks"]}
    assert checks["alert ServiceFails in failing at dba"]["stage"] == "route"
    assert checks["rendered messages"]["stage"] == "receiver"
    wrong = failed["alert ServiceFails in failing at dba"]
    assert 'its routes give on call/ML (by severity="critical") and torn (by' in wrong
    torn = failed["rendered messages"]
    assert "slack[0] of the receiver torn got no message of 1" in torn
    assert "can't evaluate field Nothing" in torn
    summaries = {name: check["summary"] for name, check in checks.items()}
    assert "it was inhibited by" in summaries["alert BudgetBurns not at chat"]
    assert summaries["alert PredictionsFail not at dba"].endswith("did not reach dba")
    assert "1 at pagerduty[0]" in summaries["messages of ServiceFails in failing at on call/ML"]

    assert not checks["scrapes of elsewhere"]["applicable"]
    notified = map(json.loads, (result.out / "notifications.jsonl").read_text().splitlines())
    assert {line["labels"].get("region") for line in notified} == {"eu"}

    lines = (result.out / "messages.jsonl").read_text().splitlines()
    messages = [json.loads(line) for line in lines]
    assert {each["integration"] for each in messages} == set(INTEGRATIONS) - {"pushover"}
    slack = next(each for each in messages if each["integration"] == "slack")
    assert "2 firing for ml: Predictions fail. The service fails." in slack["text"]
    assert not [path for path in result.out.rglob("*.y*ml") if "s3cr3t" in path.read_text()]
    assert "s3cr3t" not in result.output
