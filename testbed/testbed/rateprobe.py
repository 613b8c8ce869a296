"""One step of a capacity search: a rate of load that is played against a service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from testbed_load.plan import LabelPlan, LoadPhase, LoadPlan

from testbed.bareload import play_load
from testbed.capacity import CapacityObjective, RateStep, step_of
from testbed.console import say
from testbed.errors import StackError

if TYPE_CHECKING:
    from testbed.settings import Settings


@dataclass(frozen=True, slots=True)
class RateProbe:
    """Plays one rate against a service.

    Attributes:
        host: base URL.
        folder: of all that is written.
        use_case: whose rows are sent.
        artefact: model artefact whose rows are sent; None takes the generator.
        seconds: that a step lasts.
        seed: of the rows.
        objective: what must hold.
        settings: effective settings.
    """

    host: str
    folder: Path
    use_case: str
    artefact: Path | None
    seconds: float
    seed: int
    objective: CapacityObjective
    settings: Settings

    def __call__(self, rate: float) -> RateStep:
        """Play it.

        Raises:
            StackError: the load could not be played.
        """
        number = len(list(self.folder.glob("step-*"))) + 1
        place = self.folder / f"step-{number:02}"
        phase = LoadPhase(name="step", duration=self.seconds, rate=rate)
        plan = LoadPlan(
            run_id=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-capacity-{number}",
            seed=self.seed,
            use_case=self.use_case,
            phases=(phase,),
            artefact=self.artefact,
            labels=LabelPlan(ratio=0.0),
            timeout=self.settings.request_timeout,
        )
        truth = play_load(plan, self.host, place, self.settings)
        if number == 1 and all(each.error == "connection" for each in truth.requests):
            raise StackError(
                f"nothing answers at {self.host}: none of {len(truth.requests)} requests got a "
                "connection"
            )
        step = step_of(rate, phase.planned(self.seed) or 1, truth, self.objective)
        held = "holds" if step.held else f"does not hold, because of the {step.limited_by}"
        say(f"capacity: {rate:g} requests per second: {step.good_ratio:.2%} are good, it {held}")
        return step
