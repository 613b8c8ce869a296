"""A component's disk that is full: only its own, and only for a while."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from testbed.faults.disk import DiskFault
from testbed.faults.rig import Rig
from testbed.layout import RunLayout
from testbed.stack import smalldisk
from testbed.stack.process import ProcessRequest
from testbed.stack.smalldisk import OnSmallDisk, why_not

from tests.support.polling import wait_for

if TYPE_CHECKING:
    import pytest

# Appends to a file on its disk, and says by one beside it how often that failed.
WRITER = "while :; do head -c 8192 /dev/zero >> prometheus/own || echo >> failed; sleep 0.01; done"


class Writer:
    """A component that writes all the time."""

    name = "prometheus"

    def request(self, context: Any) -> ProcessRequest:  # noqa: ANN401 - only what is needed
        """Its process."""
        data = context.layout.data
        return ProcessRequest(self.name, ("sh", "-c", WRITER), data / "log", {}, data)

    def not_ready(self, _context: object) -> str | None:
        """It is."""
        return None


def size(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size if path.exists() else 0


def test_a_disk_is_full_for_its_component_only(tmp_path: Path) -> None:
    """Until the fault ends; where no disk can be mounted, the fault says why."""
    fault = DiskFault(component="prometheus")
    assert fault.permitted() == why_not()
    if why_not() is not None:
        assert "can't be mounted" in str(why_not())
        return
    context = SimpleNamespace(layout=RunLayout(tmp_path).create())
    data = context.layout.data
    request = OnSmallDisk(Writer()).request(cast("Any", context))
    with subprocess.Popen(request.argv, cwd=data, start_new_session=True) as process:
        marks: list[str] = []
        stack = SimpleNamespace(
            context=context,
            pid=lambda _: process.pid,
            mark_gone=lambda name, _: marks.append(f"{name} gone"),
            mark_back=lambda name: marks.append(f"{name} back"),
        )
        rig = Rig(cast("Any", stack), cast("Any", None), cast("Any", None))
        own = Path(f"/proc/{process.pid}/root", *(data / "prometheus").parts[1:], "own")
        try:
            wait_for(lambda: size(own) > 1, 20, "it writes nothing")
            fault.begin(rig)
            wait_for(lambda: size(data / "failed") > 1, 20, "it can still write")
            seen = fault.end(rig)
            written = size(own)
            wait_for(lambda: size(own) > written, 20, "it can't write again")
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert marks == ["prometheus gone", "prometheus back"]
    assert seen["free"] == 0
    assert seen["written"] < 2**16
    assert not list((data / "prometheus").iterdir())


def test_a_machine_that_permits_no_mount_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, before anything is started."""
    monkeypatch.setattr(smalldisk, "mounted", lambda *_: ("sh", "-c", "echo no; echo b; exit 1"))
    assert DiskFault(component="collector").permitted() == "a disk of its own can't be mounted: no"
    monkeypatch.setattr(smalldisk, "mounted", lambda *_: ("no-such-program",))
    assert "no-such-program" in str(DiskFault(component="collector").permitted())
