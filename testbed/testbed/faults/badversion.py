"""A worse version of the model that is deployed, and rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Literal

import httpx
from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError
from testbed_drift.retraining.management import Management

from testbed.clients import loopback
from testbed.errors import StackError
from testbed.faults.base import FAULTS, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig import control

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.layout import RunLayout
    from testbed.phases import PhaseRow

TIMEOUT: Final = 10.0
FOLDER: Final = "worse"
"""Beside the run's model, where the API may load from."""


@FAULTS.register
class BadVersionFault(HeldFault):
    """A version that has learned nothing becomes the champion, and is rolled back.

    It is trained before the load, on the reference rows with their labels dealt out anew. Each
    replica loads it as challenger and promotes it, and goes back to the version before as the phase
    ends. It took hold where each replica said that it was champion.
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

    def prepare(self, layout: RunLayout) -> None:
        """Train it."""
        from testbed.faults.rig.badversion import worse  # noqa: PLC0415 - only few runs train it

        made = worse(layout.model, layout.model.parent, seed=0)
        made.path.rename(_folder(layout))

    def hold(self, rig: Rig) -> Undo:
        """Let each replica load it, and make it champion there."""
        context = rig.stack.context
        urls = [f"http://{address}" for address in context.management]
        wrong = load_artefact(_folder(context.layout))
        problem = ""
        try:
            management = Management(tuple(urls), context.management_token)
            management.challenge(wrong.path)
            management.promote()
        except DomainError as error:
            problem = str(error)

        def roll_back() -> Seen:
            mine = [url for url in urls if _champion(url) == wrong.version]
            for url in mine:
                _ask(rig, "POST", f"{url}/models/rollback")
            back = sum(_champion(url) != wrong.version for url in mine)
            return {
                "version": wrong.version, "served": len(mine), "of": len(urls),
                "back": back, "problem": problem,
            }  # fmt: skip

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


def _folder(layout: RunLayout) -> Path:
    return layout.model.with_name(f"{layout.model.name}-{FOLDER}")


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
