"""What is done to Prometheus's files and port, and that nothing of it stays."""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from testbed.faults.rig.brokenprometheus import AGE, RULES_FILE, PrometheusFaults

from tests.support.yamltext import load_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 2_000_000_000.0
SOUND = "global: {scrape_interval: 1s}\n"


@pytest.fixture
def reloads() -> Iterator[list[int]]:
    """Signals that this process gets in Prometheus's place."""
    got: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda number, _: got.append(number))
    yield got
    signal.signal(signal.SIGHUP, before)


def faults(folder: Path, url: str = "http://127.0.0.1:9") -> PrometheusFaults:
    """Those of a Prometheus whose files lie in a folder."""
    (folder / "rules").mkdir()
    (folder / "prometheus.yml").write_text(SOUND)
    return PrometheusFaults(
        folder / "prometheus.yml", folder / "rules", url, os.getpid, lambda: NOW
    )


def test_a_broken_configuration_is_mended(tmp_path: Path, reloads: list[int]) -> None:
    """It is loaded both times, and the file is as it was."""
    done = faults(tmp_path)
    done.break_configuration()
    assert (tmp_path / "prometheus.yml").read_text() != SOUND
    done.mend()
    assert (tmp_path / "prometheus.yml").read_text() == SOUND
    assert len(reloads) == 2


def test_a_prometheus_that_is_down_reads_its_files_later(tmp_path: Path) -> None:
    """Another fault of the phase may have stopped it."""
    (tmp_path / "prometheus.yml").write_text(SOUND)
    done = PrometheusFaults(tmp_path / "prometheus.yml", tmp_path, "http://nowhere", lambda: None)
    done.break_configuration()
    assert (tmp_path / "prometheus.yml").read_text() != SOUND
    done.mend()
    assert (tmp_path / "prometheus.yml").read_text() == SOUND


@pytest.mark.parametrize("group", ["failing", "hurried"])
def test_further_rules_go_again(tmp_path: Path, reloads: list[int], group: str) -> None:
    """They stand in a file of their own."""
    done = faults(tmp_path)
    done.add_rules(group)
    (found,) = load_yaml((tmp_path / "rules" / RULES_FILE).read_text())["groups"]
    assert found["name"] == f"fault-{group}"
    done.mend()
    assert list((tmp_path / "rules").iterdir()) == []
    assert len(reloads) == 2


def test_old_samples_are_sent_until_they_are_stopped(tmp_path: Path) -> None:
    """By OTLP, and a day old."""
    got: list[tuple[str, Any]] = []
    came = threading.Event()

    class Intake(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, json.loads(body)))
            self.send_response(400)
            self.send_header("content-length", "0")
            self.end_headers()
            if len(got) > 1:
                came.set()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Intake) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = faults(tmp_path, f"http://127.0.0.1:{server.server_address[1]}/run")
        done.send_old_samples()
        assert came.wait(120)
        done.stop_sending()
        sent = len(got)
        server.shutdown()
    assert len(got) == sent
    path, body = got[0]
    assert path == "/run/api/v1/otlp/v1/metrics"
    (metric,) = body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    (point,) = metric["gauge"]["dataPoints"]
    assert int(point["timeUnixNano"]) == (NOW - AGE) * 1e9
