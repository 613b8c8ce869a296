"""The notebooks: their cells run from top to bottom, as somebody who presses “run all” does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("exploration", ("distinct", "drift_share=0.14 drifted: Age")),
        ("training", ("accuracy", "predicted ", "true label")),
    ],
)
def test_a_notebook_runs_from_top_to_bottom(
    tmp_path: Path, name: str, printed: tuple[str, ...]
) -> None:
    """Without a kernel: its code is plain Python. It prints what its text announces."""
    cells = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    assert cells[0]["cell_type"] == "markdown"
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for text in printed:
        assert text in done.stdout
