"""Secrets in what is printed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from testbed_otel.masking import mask


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:hunter2@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me:hun/ter2@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me:hun@ter2@db/x", "postgresql://me:***@db/x"),
        ("postgresql://me:hun@ter2/hunter2@db:5432/x", "postgresql://me:***@db:5432/x"),
        ("postgresql://me:hun:ter2?x#y@db/x", "postgresql://me:***@db/x"),
        ("postgresql://:hunter2@db/x", "postgresql://:***@db/x"),
        ("postgresql://db/x?password=hunter2", "postgresql://db/x?password=***"),
        ("http://h/?a=1&access_token=hunter2&b=2", "http://h/?a=1&access_token=***&b=2"),
        ("http://h/?pass%77ord=hunter2", "http://h/?pass%77ord=***"),
        ("http://h/?X-Amz-Signature=hunter2", "http://h/?X-Amz-Signature=***"),
        ("postgresql://db/x?sslpassword=hunter2;a=b", "postgresql://db/x?sslpassword=***"),
        ("http://me:hunter2@h: refused", "http://me:***@h: refused"),
        ("'http://me:hunter2@h' and 'http://you:hunter2@h'", "'http://me:***@h' and 'http://you:***@h'"),
        ("Authorization: Bearer hunter2", "Authorization: ***"),
        ('{"password": "hunter2"}', '{"password": "***"}'),
        ("api_key=hunter2&x=1", "api_key=***&x=1"),
    ],
)  # fmt: skip
def test_secrets_are_hidden(text: str, shown: str) -> None:
    """Wherever the password ends, and however the parameter is written."""
    assert mask(text) == shown
    assert mask(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////var/lib/log.db", "postgresql://me@db:5432/x?connect_timeout=3", "a:b@c",
        "http://127.0.0.1:8000/predict?monday=1", "no URL at all", "",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    """Host, port, path and harmless parameters help to find the mistake."""
    assert mask(text) == text


def test_logs_of_libraries_show_no_secret() -> None:
    """What an exporter says of its endpoint, in a process of its own as the drift job is one."""
    code = (
        "import logging\n"
        "from testbed_otel.redaction import log_to_stderr\n"
        "log_to_stderr()\n"
        "logging.getLogger('exporter').warning('url: %s', 'http://u:hunt/er2@h/?password=hunter2')\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert shown.stderr == "WARNING exporter: url: http://u:***@h/?password=***\n"


def test_logs_of_jobs_show_no_conflict_that_is_none() -> None:
    """Two meters may have instruments of one name; other warnings of the SDK stay."""
    code = (
        "import logging\n"
        "from testbed_otel import names\n"
        "from testbed_otel.redaction import log_to_stderr\n"
        "from testbed_otel.sdk import TelemetrySettings, gauge, setup\n"
        "log_to_stderr()\n"
        "telemetry = setup('test', TelemetrySettings(endpoint=None))\n"
        "for scope in ('one', 'two'):\n"
        "    gauge(telemetry.meter(scope), names.MODEL_ACCURACY).set(1)\n"
        "logging.getLogger('opentelemetry.sdk.metrics').warning('something else')\n"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert shown.stderr == "WARNING opentelemetry.sdk.metrics: something else\n"
