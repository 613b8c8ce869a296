"""Names that one component can't resolve: only that one, and only for a while."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from testbed.faults.dns import DnsFault
from testbed.faults.rig import Rig
from testbed.layout import RunLayout
from testbed.stack import ownresolver
from testbed.stack.ownresolver import BROKEN, USUAL, WithOwnResolver, file_of, why_not
from testbed.stack.process import ProcessRequest

from tests.support.polling import wait_for

if TYPE_CHECKING:
    import pytest

USUAL_HERE = "nameserver 127.0.0.2\noptions timeout:1 attempts:1\n"


class Sleeper:
    """A component that does nothing."""

    name = "shop"

    def request(self, context: Any) -> ProcessRequest:  # noqa: ANN401 - only what is needed
        """Its process."""
        data = context.layout.data
        return ProcessRequest(self.name, ("sleep", "60"), data / "log", {}, data)

    def not_ready(self, _context: object) -> str | None:
        """It is."""
        return None


def test_names_fail_for_one_component_and_for_a_while(tmp_path: Path) -> None:
    """What it sees of the resolver is broken and mended; nothing changes for anybody else."""
    fault = DnsFault(component="shop", name="store.example")
    if why_not() is not None:
        assert "can't be covered" in str(fault.permitted())
        return
    context = SimpleNamespace(layout=RunLayout(tmp_path).create())
    own, machine = file_of(cast("Any", context), "shop"), USUAL.read_bytes()
    own.write_text(USUAL_HERE)
    request = WithOwnResolver(Sleeper()).request(cast("Any", context))
    with subprocess.Popen(request.argv) as process:
        stack = SimpleNamespace(context=context, pid=lambda _: process.pid)
        rig = Rig(cast("Any", stack), cast("Any", None), cast("Any", None))
        seen_by_it = Path(f"/proc/{process.pid}/root/etc/resolv.conf")
        try:
            wait_for(lambda: seen_by_it.read_text() == USUAL_HERE, 20, "it is not covered")
            fault.begin(rig)
            assert seen_by_it.read_text() == BROKEN
            seen = fault.end(rig)
            assert seen_by_it.read_text() == USUAL_HERE
        finally:
            process.kill()
    assert seen["meanwhile"].startswith("not: ")
    assert USUAL.read_bytes() == machine


def test_a_machine_that_permits_no_mount_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, with what to take in its place."""
    monkeypatch.setattr(ownresolver, "covered", lambda *_: ("sh", "-c", "echo no; exit 1"))
    said = DnsFault(component="shop").permitted() or ""
    assert said.startswith("/etc/resolv.conf can't be covered for one process: no; `exec` with")
