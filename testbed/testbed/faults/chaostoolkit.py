"""An experiment, or one action, of the Chaos Toolkit: its drivers become faults."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Self

from pydantic import Field, ValidationInfo, model_validator
from testbed_domain.files import write_atomic
from testbed_domain.yamlfile import read_mapping

from testbed.faults.base import FAULTS, ComponentName, HeldFault, Seen
from testbed.faults.effects import Effect, last_event

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

COMMAND: Final = "chaos"
SUCCEEDED: Final = "succeeded"


@FAULTS.register
class ChaosFault(HeldFault):
    """The Chaos Toolkit executes an experiment, or an action and what undoes it.

    It is a program of its own (`chaos run`), with the drivers of the environment that it is
    installed in: `uv tool install chaostoolkit --with chaostoolkit-kubernetes`, or the testbed's
    own, with the extra `ml-observability-testbed[chaostoolkit]`. Its journal says
    whether it took hold: every activity succeeded, and an experiment was completed. TESTBED_RUN
    names the run's folder, whose run.json holds the addresses of the components. It needs trust:
    `testbed trust FILE`.
    """

    interrupts: ClassVar[bool] = True
    aside: ClassVar[bool] = True
    kind: Literal["chaos"] = "chaos"
    action: dict[str, Any] | None = Field(
        None, description="An activity as the Chaos Toolkit has it: name, type, provider."
    )
    undo: dict[str, Any] | None = Field(
        None, description="Activity that ends it; null executes nothing."
    )
    experiment: dict[str, Any] | None = Field(
        None,
        description="In place of an action: a whole experiment. `file` may stand in its place: one "
        "beside the scenario, in JSON or YAML. It begins with the phase, and is waited for at its "
        "end; its own rollbacks are executed in any case.",
    )
    components: tuple[ComponentName, ...] = Field(
        (), description="Components that it hits: holes in what is measured of them are meant."
    )
    timeout: float = Field(
        30.0, gt=0, le=60, description="Real seconds for each, beyond the phase for an experiment."
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - as pydantic has it
        if not isinstance(data, dict) or "file" not in data:
            return data
        folder = (info.context or {}).get("folder")
        if folder is None or "experiment" in data:
            raise ValueError("give either experiment or, in a scenario, file")
        rest = {key: value for key, value in data.items() if key != "file"}
        return rest | {"experiment": read_mapping(Path(folder) / str(data["file"]))}

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.action is None) == (self.experiment is None):
            raise ValueError("give either action or experiment")
        if self.experiment is not None and self.undo is not None:
            raise ValueError("an experiment has rollbacks of its own: undo is for an action")
        return self

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"chaos {self._title}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"the Chaos Toolkit executes {self._title}"

    @property
    def hits(self) -> tuple[str, ...]:
        """Those that it names."""
        return self.components

    @property
    def trusting(self) -> str:
        """All that it executes."""
        parts = (self.action, self.undo, self.experiment)
        return "; ".join(json.dumps(each, sort_keys=True) for each in parts if each is not None)

    def permitted(self) -> str | None:
        """Whether there is a Chaos Toolkit."""
        if _command() is not None:
            return None
        return (
            f"there is no `{COMMAND}` beside this Python or on the PATH: "
            "uv tool install chaostoolkit, with the drivers that it needs"
        )

    def hold(self, rig: Rig) -> Undo:
        """Start it, without waiting for its end."""
        began = self.experiment or _experiment(self._title, self.action or {})
        journal = self._start(rig, "begin", began)

        def end() -> Seen:
            seen = {"begin": self._outcome(rig, "begin", journal), "end": None}
            if self.undo is not None:
                undone = self._start(rig, "end", _experiment(f"end {self._title}", self.undo))
                seen["end"] = self._outcome(rig, "end", undone)
            return seen

        return end

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the journals."""
        seen = last_event(case, phase, self.label)
        if "begin" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was executed")
        journals = [each for each in (seen["begin"], seen["end"]) if each is not None]
        text = " and, to end it, ".join(str(each["said"]) for each in journals)
        took = all(each["took"] for each in journals)
        return Effect(phase.name, self.label, took=took, seen=text)

    @property
    def _title(self) -> str:
        named = self.action or self.experiment or {}
        return str(named.get("name") or named.get("title") or "without a name")

    def _start(self, rig: Rig, part: str, document: dict[str, Any]) -> Path:
        """Start `chaos run`; returns where its journal will be."""
        folder = rig.stack.context.layout.data / "chaos"
        place = len(list(folder.glob("*.json")))
        file, journal = folder / f"{place}-experiment.json", folder / f"{place}-journal.json"
        write_atomic(file, json.dumps(document, indent=2))
        argv = (
            *(str(_command()), "--no-version-check", "--log-file", str(folder / "chaos.log")),
            *("run", "--rollback-strategy", "always", "--journal-path", str(journal), str(file)),
        )
        rig.stack.start_helper(f"{self.label} {part}", argv, grace=self.timeout)
        return journal

    def _outcome(self, rig: Rig, part: str, journal: Path) -> dict[str, Any]:
        """What its journal says once it has ended, or was ended."""
        ended = rig.stack.await_helper(f"{self.label} {part}", self.timeout)
        try:
            found = json.loads(journal.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            why = "it did not end in time" if ended is None else ended.describe()
            return {"took": False, "said": f"no journal was written: {why}"}
        return read_journal(found)


def read_journal(journal: dict[str, Any]) -> dict[str, Any]:
    """Whether an experiment took hold by its journal, and what that says in words."""
    activities = [*journal.get("run", ()), *journal.get("rollbacks", ())]
    failed = [each for each in activities if each.get("status") != SUCCEEDED]
    status = journal.get("status")
    said = f"it was {status}, {len(activities) - len(failed)} of {len(activities)} activities "
    said += SUCCEEDED
    if failed:
        name = failed[0].get("activity", {}).get("name")
        why = (failed[0].get("exception") or [str(failed[0].get("output"))])[-1].strip()
        said += f"; {name}: {why}"
    if journal.get("deviated"):
        said += "; the steady state had deviated"
    return {"took": bool(activities) and not failed and status == "completed", "said": said}


def _experiment(title: str, activity: dict[str, Any]) -> dict[str, Any]:
    """An experiment of one activity."""
    named = {"type": "action", "name": title, **activity}
    return {"title": title, "description": title, "method": [named], "rollbacks": []}


def _command() -> Path | None:
    """The program of the Chaos Toolkit."""
    beside = Path(sys.executable).with_name(COMMAND)
    found = shutil.which(COMMAND)
    return beside if beside.exists() else Path(found) if found else None
