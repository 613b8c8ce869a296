"""Requests that are malformed or hostile, or bring a wrong key, beside the load's own."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig import hostilesender
from testbed.truth import OTHERS, read_lines

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

ENDING: Final = 2.0
"""Seconds in which requests that are open still end."""

MIN_RATIO: Final = 0.75
"""Ratio of the planned requests that must have been sent."""

Kind = Literal[
    "bad-json", "oversize", "wrong-type", "deep", "unknown-field", "slow", "wrong-key", "no-key"
]


@FAULTS.register
class HostileFault(HeldFault):
    """Somebody sends requests beside the load that no service should answer as a prediction.

    They have a record of their own, `truth/others.jsonl`, and are counted with the load's wherever
    the service counts them. It took hold where so many were sent, and every answer was a refusal
    (4xx); that of a body that is too large may be a connection that is reset while it is sent.
    `wrong-key` and `no-key` are refused as keys where the scenario has the API demand them
    (`settings: {api: {keys: true}}`).
    """

    bundled: ClassVar[bool] = True
    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["hostile"] = "hostile"
    rate: float = Field(gt=0, le=50, description="Requests per real second, of all kinds together.")
    requests: tuple[Kind, ...] = Field(
        ("bad-json", "oversize", "wrong-type", "deep", "unknown-field", "slow"),
        min_length=1,
        description="Kinds that take turns. bad-json: a body that ends too early; oversize: one "
        "of 512 KiB; wrong-type: a form; deep: 20 000 brackets; unknown-field: columns that there "
        "are not; slow: a body that comes byte by byte, for 0.8 s; wrong-key: a key that is none, "
        "as one that has expired; no-key: none at all.",
    )

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"hostile requests {self.rate:g}/s"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{self.rate:g} requests per second besides are {', '.join(self.requests)}"

    def hold(self, rig: Rig) -> Undo:
        """Start what sends them."""
        context = rig.stack.context
        address = context.target.load_url(context).removeprefix("http://")
        out = context.layout.truth / OTHERS
        key = context.layout.load_key if context.played.api.keys else ""
        before = sum(1 for _ in read_lines(out, [], required=False))
        asked = (address, ",".join(self.requests), str(self.rate), str(out), str(key))
        argv = (sys.executable, hostilesender.__file__, *asked)
        rig.stack.start_helper(self.label, argv, grace=hostilesender.TIMEOUT + ENDING)

        def stop() -> Seen:
            ended = time.time()
            rig.stack.stop_helper(self.label, kill=False)
            lines = list(read_lines(out, [], required=False))[before:]
            kinds = Counter(str(line["kind"]) for line in lines)
            answers = Counter(str(line["status"] or line["error"]) for line in lines)
            cut = sum(line["kind"] == "oversize" and line["error"] == "reset" for line in lines)
            began = min((float(line["sent_at"]) for line in lines), default=ended)
            lasted = round(ended - began, 3)
            seen = {"sent": dict(kinds), "answers": dict(answers), "lasted": lasted}
            return seen | {"cut_short": cut}

        return stop

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By what was sent and answered."""
        seen = last_event(case, phase, self.label)
        if "sent" not in seen:
            return Effect(phase.name, self.label, took=False, seen="nothing was sent")
        sent, answers = seen["sent"], seen["answers"]
        planned = self.rate * seen["lasted"]
        refused = sum(count for status, count in answers.items() if status.startswith("4"))
        refused += seen.get("cut_short", 0)
        each = ", ".join(f"{count} {kind}" for kind, count in sent.items())
        got = ", ".join(f"{status} {count} times" for status, count in sorted(answers.items()))
        took = refused == sum(sent.values()) >= MIN_RATIO * planned
        text = f"{each} were sent, answered {got}"
        return Effect(phase.name, self.label, took=took, seen=text)
