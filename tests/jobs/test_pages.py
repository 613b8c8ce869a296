"""Pages of the documentation, followed literally: commands copied from them, outputs compared."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.datafiles import own_file
from tests.support.typedpage import TypedPage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.long
def test_serve_alone(repository: Path, tmp_path: Path) -> None:
    """Train, serve, ask, label, count by hand, send, look for drift, inject faults."""
    page = TypedPage(repository / "docs" / "how-to" / "serve-alone.md", tmp_path)
    own_file(tmp_path / "diabetes.csv")
    code, output = page.type(page.block("testbed train"))
    assert code == 0, output
    assert (tmp_path / "my-model" / "model.onnx").is_file()
    assert "real" in output
    with page.serving(page.block("testbed serve --use-case diabetes")):
        code, output = page.type(page.block("/predict -H"))
        reply, (shown,) = json.loads(output), page.blocks("json")
        assert (code, reply.keys()) == (0, json.loads(shown).keys())
        asked = json.loads(shown)["prediction_id"]
        code, output = page.type(page.block("/labels -H"), {asked: reply["prediction_id"]})
        assert code == 0
        assert "ml_predictions_total{" in output
        code, output = page.type(page.block("testbed load burst --requests"))
        assert code == 0, output
        sent = re.findall(
            r"^sent +(\d+)\n(?:missed.*\n)?answered +200: (\d+)", output, re.MULTILINE
        )
        assert sent == [("100", "100"), ("250", "250"), ("400", "400")]
        assert (tmp_path / "load.html").is_file()
        assert (tmp_path / "load_stats.csv").is_file()
        code, output = page.type(page.block("burst --artefact"))
        assert code == 0, output
    code, output = page.type(page.block("testbed drift run --log-url"))
    (line,) = [body for body in page.blocks("text") if "drift_share" in body]
    pattern = re.sub(r"\d+\.\d+", r"[\\d.]+", re.escape(line.strip()).replace("\\.", "."))
    pattern = pattern.replace("…", "[^ ]+").replace("RETRAIN", "(RETRAIN|ALERT)")
    assert code == 1
    assert re.search(pattern, output), (pattern, output)
    code, output = page.type(page.block("testbed drift calibrate"))
    assert code == 0, output
    with page.serving(page.block("MONITORING_TEST_ENABLED")) as beside:
        code, output = page.type(beside)
        assert code == 0, output
    with page.serving(page.block("testbed serve --faults")) as beside:
        code, output = page.type(beside)
        assert code == 0, output
        assert '"errors":{"ratio":0.3}' in output
        assert output.count('"unloaded":') == 4  # each change is answered by what holds now


def test_read_a_drift_report(repository: Path, tmp_path: Path) -> None:
    """The command in its first sentence writes the page that it shows, from the tables it names."""
    how_to = repository / "docs" / "how-to"
    tables = TypedPage(how_to / "compare-tables.md", tmp_path)
    program = "".join(tables.blocks("python"))
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=300)
    page = TypedPage(how_to / "read-a-drift-report.md", tmp_path)
    command = re.search(r"`(testbed drift run [^`]*)`", page.text)
    written = re.search(r"`(reports/[^`]*\.html)`", page.text)
    assert command
    assert written
    code, output = page.type(" ".join(command[1].split()))
    assert code == 1, output
    html = (tmp_path / written[1]).read_text(encoding="utf-8")
    for text in ("ALERT", "Columns that drifted", "2024-01-01", "2024-02-28", "without drift"):
        assert text in html


def test_drift_from_cron(repository: Path, tmp_path: Path) -> None:
    """The two lines of a crontab: a reference is stored, a run leaves its textfile."""
    how_to = repository / "docs" / "how-to"
    program = "".join(TypedPage(how_to / "compare-tables.md", tmp_path).blocks("python"))
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, timeout=300)
    page = TypedPage(how_to / "drift-from-cron.md", tmp_path)
    add, entry = page.block("testbed drift reference add").splitlines()
    code, output = page.type(add)
    assert code == 0, output
    job = entry.partition("&& ")[2]
    own = {"/var/lib/node_exporter/": f"{tmp_path}/", "yesterday.parquet": "january.parquet"}
    code, output = page.type(job, own)
    assert code == 0, output
    metrics = (tmp_path / "shop.prom").read_text(encoding="utf-8")
    assert "ml_drift_decision{" in metrics
    assert 'drift_job="shop"' in metrics


@pytest.mark.usefixtures("tools")
def test_write_rules(repository: Path, tmp_path: Path) -> None:
    """Rules are copied and checked; the page's own rule passes its own test in promtool."""
    page = TypedPage(repository / "docs" / "how-to" / "write-rules.md", tmp_path)
    (tmp_path / "prometheus").symlink_to(repository / "prometheus")
    copy, _ = page.block("cp -r").splitlines()
    code, output = page.type(f"{copy}\n{page.block('testbed rules check')}")
    assert code == 0, output
    rule, _, test, _ = page.blocks("yaml")
    for folder, content in (("my-rules", rule), ("my-rules-test", test)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "mine.yml").write_text(content, encoding="utf-8")
    code, output = page.type(page.block("promtool="))
    assert (code, "SUCCESS" in output) == (0, True), output
