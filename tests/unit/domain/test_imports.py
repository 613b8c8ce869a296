"""What the serving and the load process import must stay light."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("pandas", "sklearn", "skl2onnx", "onnx", "scipy", "evidently")


@pytest.mark.parametrize(
    "module",
    [
        "testbed_domain.artefact",
        "testbed_domain.encoding",
        "testbed_domain.logstore",
        "testbed_domain.sampling",
        "testbed_domain.use_cases",
    ],
)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    """Importing the module in a fresh process loads no data-frame or training library."""
    code = f"import sys, {module}; print(*sys.modules.keys() & set({HEAVY!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
