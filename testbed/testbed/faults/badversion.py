"""A worse version of the model that is deployed, and rolled back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import httpx

from testbed.clients import loopback
from testbed.errors import StackError
from testbed.faults.base import FAULTS, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig import control

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

PROGRAM: Final = Path(__file__).parent / "rig" / "badversion.py"
TIMEOUT: Final = 10.0
READY: Final = 30.0
"""Seconds in which the version must be there as the phase ends."""


@FAULTS.register
class BadVersionFault(HeldFault):
    """A version that has learned nothing becomes the champion, and is rolled back.

    It is trained in the run on the reference rows with their labels dealt out anew, so a few
    seconds into the phase; then each replica loads it as challenger and promotes it, and goes back
    to the version before as the phase ends. It took hold where each replica said that it was
    champion.
    """

    bundled: ClassVar[bool] = True
    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["bad-version"] = "bad-version"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "version worse"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "a version that has learned nothing is promoted, and rolled back"

    def hold(self, rig: Rig) -> Undo:
        """Start what trains and promotes it."""
        context = rig.stack.context
        layout = context.layout
        out = layout.data / "bad-version.json"
        urls = [f"http://{address}" for address in context.management]
        files = (layout.model, layout.model.parent, out, context.management_token)
        argv = (sys.executable, str(PROGRAM), *(str(each.resolve()) for each in files), *urls)
        rig.stack.start_helper(self.label, argv)

        def roll_back() -> Seen:
            ended = rig.stack.await_helper(self.label, READY)
            try:
                seen: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                why = "it did not end in time" if ended is None else ended.describe()
                return {"version": "", "served": 0, "of": len(urls), "problem": why}
            served = sum(_champion(url) == seen["version"] for url in urls)
            if seen["promoted"]:
                for url in urls:
                    _ask(rig, "POST", f"{url}/models/rollback")
            back = sum(_champion(url) != seen["version"] for url in urls)
            return {**seen, "served": served, "of": len(urls), "back": back}

        return roll_back

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By what each replica said was its champion."""
        seen = last_event(case, phase, self.label)
        if not seen.get("version"):
            why = str(seen.get("problem", "nothing was seen of it"))
            return Effect(phase.name, self.label, took=False, seen=why)
        text = f"{seen['version']} was the champion of {seen['served']} of {seen['of']} replicas"
        text += f", and {seen.get('back', 0)} went back"
        text += f": {seen['problem']}" if seen["problem"] else ""
        took = seen["served"] == seen["of"] == seen.get("back")
        return Effect(phase.name, self.label, took=took, seen=text)


def _champion(url: str) -> str:
    """Version of the champion of a replica; empty where it does not say."""
    try:
        shown = loopback.get(f"{url}/models", timeout=TIMEOUT).raise_for_status().json()
        return next(str(e["version"]) for e in shown["versions"] if e["role"] == "champion")
    except (httpx.HTTPError, ValueError, KeyError, StopIteration):
        return ""


def _ask(rig: Rig, method: str, url: str) -> None:
    headers = control.bearer(rig.stack.context.management_token)
    try:
        loopback.request(method, url, headers=headers, timeout=TIMEOUT).raise_for_status()
    except httpx.HTTPError as error:
        raise StackError(f"the version could not be rolled back: {error}") from error
