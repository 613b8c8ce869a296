"""Sessions of ONNX Runtime."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from testbed_domain.encoding import width

if TYPE_CHECKING:
    from pathlib import Path

    from testbed_domain.artefact import Artefact

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from testbed_domain.encoding import width
from testbed_domain.onnxsession import OnnxSession
answer = OnnxSession(Path(sys.argv[1])).outputs(np.zeros((1, int(sys.argv[2])), np.float32))
print(answer.shape)
"""


def test_nothing_is_written_and_nobody_reported(synthetic: Artefact, tmp_path: Path) -> None:
    """ONNX Runtime's id of the machine and queue of events are not made."""
    places = {"HOME": tmp_path / "home", "TMPDIR": tmp_path / "tmp"}
    for place in places.values():
        place.mkdir()
    # Where ONNX Runtime sees that it is tested by a machine, it is silent anyway.
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(synthetic.model_file), str(width(synthetic.schema))],
        env=kept | {name: str(place) for name, place in places.items()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(1, 2)\n"
    assert not [path for place in places.values() for path in place.iterdir()]
