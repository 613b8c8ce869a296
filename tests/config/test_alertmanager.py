"""Alertmanager's configuration and routes, read by amtool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from testbed.stack.configuration import SmtpSettings, alertmanager_tree, with_email


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
    routes = yaml.safe_load(file.read_text())["route"]["routes"]
    routed = {matcher for route in routes for matcher in route["matchers"]}
    for path in (repository / "prometheus/rules").glob("*.yml"):
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                assert f'severity="{rule["labels"]["severity"]}"' in routed


def test_every_receiver_reports_of_the_end(file: Path) -> None:
    """Resolved notifications are recorded as well."""
    for receiver in yaml.safe_load(file.read_text())["receivers"]:
        assert [hook["send_resolved"] for hook in receiver["webhook_configs"]] == [True]


@pytest.mark.parametrize("user", [None, "alerts"])
def test_email_is_valid(
    run_tool: Callable[..., str], file: Path, tmp_path: Path, user: str | None
) -> None:
    """With SMTP settings, amtool accepts the file, and receivers write mail.

    All but that of heartbeats, which would write all the time.
    """
    smtp = SmtpSettings("127.0.0.1:2525", "a@example.com", "b@example.com", user, "secret")
    tree = with_email(yaml.safe_load(file.read_text()), smtp, tmp_path / "password")
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
    settings, (email,) = yaml.safe_load(globals_text), yaml.safe_load(email_text)
    smtp = SmtpSettings(
        settings["smtp_smarthost"], settings["smtp_from"], email["to"], "alerts@example.com", "x"
    )
    rendered = with_email(
        yaml.safe_load(file.read_text()), smtp, Path(settings["smtp_auth_password_file"])
    )
    assert settings.items() <= rendered["global"].items()
    written = [receiver.get("email_configs") for receiver in rendered["receivers"]]
    assert written == [[email], [email], None]


def test_left_out_receiver_is_not_called(file: Path) -> None:
    """Without the receiver, Alertmanager notifies nobody instead of failing to."""
    tree = alertmanager_tree(yaml.safe_load(file.read_text()), {}, frozenset({"receiver"}))
    assert all(receiver["webhook_configs"] == [] for receiver in tree["receivers"])
