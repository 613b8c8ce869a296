"""The drift job as a process with processes of its own: versions and segments of a real log."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
from testbed_domain.logstore import open_log

from tests.support.polling import PATIENCE

if TYPE_CHECKING:
    from .conftest import Spawn
    from .made_up_place import MadeUpPlace


def test_versions_and_segments_over_processes(place: MadeUpPlace) -> None:
    """One JSON object has the own version, its segments and the drifted challenger: exit 1."""
    place.predict(800, seed=2)
    challenger = replace(place, artefact=replace(place.artefact, version="challenger"))
    with open_log(place.url) as log:
        log.register_reference(challenger.artefact)
    challenger.predict(800, seed=3, shift=1.0)
    options = ("--versions=2", "--workers=2", "--segment=colour", "--html=never", "--json")
    done = place.run(*options)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["model_version"] == place.artefact.version
    assert found["decision"] == "NO_ACTION"
    states = {name: one["state"] for name, one in found["segments"].items()}
    assert states == {"colour=blue": "scored", "colour=red": "scored"}
    other = found["versions"]["challenger"]
    assert other["decision"] == "RETRAIN"
    assert other["segments"]["colour=red"]["drifted"]
    assert (place.output / "version-challenger" / other["json"]).exists()


def test_watch_ends_with_its_processes(place: MadeUpPlace, spawn: Spawn) -> None:
    """Segments and versions share as many processes as are set, which end with the job."""
    place.predict(800, seed=2)
    challenger = replace(place, artefact=replace(place.artefact, version="challenger"))
    with open_log(place.url) as log:
        log.register_reference(challenger.artefact)
    challenger.predict(800, seed=3)
    options = ("--versions=2", "--segment=colour", "--workers=2")
    quiet = ("--html=never", "--otlp-endpoint=none")
    job = spawn(place.command("watch", *options, *quiet))
    assert job.stdout is not None
    for _ in range(2):
        assert "decision=NO_ACTION" in job.stdout.readline()
    children = psutil.Process(job.pid).children(recursive=True)
    assert sum("spawn_main" in " ".join(child.cmdline()) for child in children) == 2
    job.send_signal(signal.SIGTERM)
    assert job.wait(PATIENCE) == 0
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert alive == []
