"""Alertmanager's configuration and routes, read by amtool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from testbed.errors import UsageError
from testbed.layout import RunLayout
from testbed.stack import build
from testbed.stack.configuration import SmtpSettings, alertmanager_tree, with_email
from testbed.stack.ownalertmanager import SMTP, read_own, read_redirection
from testbed_rules.timescale import TimeScale

from tests.support.yamltext import load_yaml


@pytest.fixture(scope="module")
def file(repository: Path) -> Path:
    """``alertmanager.yml``."""
    return repository / "alertmanager/alertmanager.yml"


def test_configuration_and_templates_are_valid(run_tool: Callable[..., str], file: Path) -> None:
    """Amtool accepts the file and finds the template."""
    assert "1 templates" in run_tool("amtool", "check-config", file)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=APIDown", "severity=critical"], "critical"),
        (["alertname=HighErrorRate", "severity=warning"], "warning"),
        (["alertname=Watchdog", "severity=none"], "heartbeat"),
        (["alertname=Own", "severity=page"], "warning"),
        (["alertname=Own"], "warning"),
    ],
)
def test_routes_go_by_severity(
    run_tool: Callable[..., str], file: Path, labels: list[str], receiver: str
) -> None:
    """Critical and warning have receivers of their own; nothing is left without one."""
    arguments = ("config", "routes", "test", f"--config.file={file}")
    run_tool("amtool", *arguments, f"--verify.receivers={receiver}", *labels)


def test_every_severity_in_the_rules_has_a_route(repository: Path, file: Path) -> None:
    """A rule can't name a severity that only the fallback catches."""
    routes = load_yaml(file.read_text())["route"]["routes"]
    routed = {matcher for route in routes for matcher in route["matchers"]}
    for path in (repository / "prometheus/rules").glob("*.yml"):
        for group in load_yaml(path.read_text())["groups"]:
            for rule in group["rules"]:
                assert f'severity="{rule["labels"]["severity"]}"' in routed


def test_every_receiver_reports_of_the_end(file: Path) -> None:
    """Resolved notifications are recorded as well."""
    for receiver in load_yaml(file.read_text())["receivers"]:
        assert [hook["send_resolved"] for hook in receiver["webhook_configs"]] == [True]


@pytest.mark.parametrize("user", [None, "alerts"])
def test_email_is_valid(
    run_tool: Callable[..., str], file: Path, tmp_path: Path, user: str | None
) -> None:
    """With SMTP settings, amtool accepts the file, and receivers write mail.

    All but that of heartbeats, which would write all the time.
    """
    smtp = SmtpSettings("127.0.0.1:2525", "a@example.com", "b@example.com", user, "secret")
    tree = with_email(load_yaml(file.read_text()), smtp, tmp_path / "password")
    (tmp_path / "password").write_text("secret")
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(tree | {"templates": []}))
    run_tool("amtool", "check-config", tmp_path / "alertmanager.yml")
    assert "secret" not in (tmp_path / "alertmanager.yml").read_text()
    mute = [each["name"] for each in tree["receivers"] if "email_configs" not in each]
    assert mute == ["heartbeat"]


def test_commented_email_of_compose_is_what_native_mode_renders(file: Path) -> None:
    """The lines to uncomment for Compose give the same e-mail as the setting of native mode."""
    comment = [line[2:] for line in file.read_text().splitlines() if line.startswith("#   ")]
    text = "\n".join(line.removeprefix("  ") for line in comment)
    globals_text, _, email_text = text.partition("email_configs:\n")
    settings, (email,) = load_yaml(globals_text), load_yaml(email_text)
    smtp = SmtpSettings(
        settings["smtp_smarthost"], settings["smtp_from"], email["to"], "alerts@example.com", "x"
    )
    rendered = with_email(
        load_yaml(file.read_text()), smtp, Path(settings["smtp_auth_password_file"])
    )
    assert settings.items() <= rendered["global"].items()
    written = [receiver.get("email_configs") for receiver in rendered["receivers"]]
    assert written == [[email], [email], None]


def test_left_out_receiver_is_not_called(file: Path) -> None:
    """Without the receiver, Alertmanager notifies nobody instead of failing to."""
    tree = alertmanager_tree(load_yaml(file.read_text()), {}, frozenset({"receiver"}))
    assert all(receiver["webhook_configs"] == [] for receiver in tree["receivers"])


OWN = """\
global:
  slack_api_url: https://hooks.example.com/s3cr3t
templates: [templates/*.tmpl, '*.tmpl']
route:
  receiver: chat
  group_by: [alertname]
receivers:
  - name: chat
    slack_configs:
      - channel: '#ml'
        text: '{{ template "own.text" . }}'
"""


@pytest.fixture
def own(tmp_path: Path, run_tool: Callable[..., str]) -> Path:
    """A configuration of one's own, with two templates."""
    del run_tool  # amtool is there
    (tmp_path / "templates").mkdir()
    text = '{{ define "own.text" }}It fires.{{ end }}'
    (tmp_path / "templates" / "own.tmpl").write_text(text)
    (tmp_path / "more.tmpl").write_text("{{/* nothing */}}")
    path = tmp_path / "own.yml"
    path.write_text(OWN)
    return path


def test_a_configuration_of_ones_own_is_rendered_with_its_templates(
    own: Path, tmp_path: Path, run_tool: Callable[..., str]
) -> None:
    """Alertmanager takes what comes of it, and nothing of a secret is left."""
    layout = RunLayout(tmp_path / "run").create()
    endpoints = {"receiver:9080": "127.0.0.1:9080", SMTP: "127.0.0.1:2525"}
    assert read_redirection(layout) is None
    tree = read_own(own, build.find()).render(layout, TimeScale(60), endpoints)
    (layout.config / "alertmanager.yml").write_text(yaml.safe_dump(tree))
    assert "SUCCESS" in run_tool("amtool", "check-config", layout.config / "alertmanager.yml")
    found = sorted(path.name for path in (layout.config / "own-templates").iterdir())
    assert found == ["000-own.tmpl", "001-more.tmpl"]
    redirection = read_redirection(layout)
    assert redirection is not None
    assert [str(each) for each in redirection.integrations] == ["slack[0] of the receiver chat"]
    assert not [path for path in layout.config.rglob("*.*") if "s3cr3t" in path.read_text()]


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("receiver: chat", "receiver: cat", 5, 'undefined receiver "cat" used in route'),
        ("channel:", "chanel:", 10, "field chanel not found"),
        ("https://hooks", "ftp://s3cr3t", None, "unsupported scheme"),
        ("[alertname]", "[alertname]\n  group_wait: 3q", 7, 'unknown unit "q" in duration "3q"'),
        ("global:", "global:\n  slack_api_url_file: s3cr3t", 3, "at most one of slack_api_url"),
    ],
)
def test_what_alertmanager_refuses_is_said_with_its_line_and_without_secrets(
    own: Path, old: str, new: str, line: int | None, reason: str
) -> None:
    """One line, before anything is trained or started."""
    own.write_text(OWN.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        read_own(own, build.find())
    said = str(caught.value)
    assert reason in said
    assert "\n" not in said
    assert "s3cr3t" not in said
    assert said.startswith(f"{own}:" if line is None else f"{own}:{line}: ")


def test_a_template_that_cannot_be_parsed_is_refused(own: Path) -> None:
    """By its file and line."""
    (own.parent / "more.tmpl").write_text("{{ nothing }}")
    with pytest.raises(UsageError, match=r'more.tmpl:1: function "nothing" not defined'):
        read_own(own, build.find())
