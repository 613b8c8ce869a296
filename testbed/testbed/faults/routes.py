"""A wrong configuration of Alertmanager that is deployed, and rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, model_validator
from testbed_domain.yamlfile import read_mapping
from testbed_rules.timescale import TimeScale

from testbed.errors import StackError
from testbed.faults.base import FAULTS, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig.deployment import Deployment
from testbed.faults.rulefile import beside

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

RELOADS: Final = "alertmanager_config_last_reload_successful"
ALERTMANAGER: Final = "alertmanager"


@FAULTS.register
class RoutesFault(HeldFault):
    """Alertmanager's routes are replaced, and put back as the phase ends, each time by a reload.

    Receivers stay those of the run; durations are those of production. It took hold where
    Alertmanager said that the reload succeeded and showed the file. Whom alerts of that time reach
    is said by the scenario alone (`receiver`, `forbidden_notifications`), not by the run's routes.
    """

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["routes"] = "routes"
    route: dict[str, Any] = Field(
        description="The route tree as in Alertmanager's configuration. `file` may stand in its "
        "place: such a configuration beside the scenario, of which `route` and `inhibit_rules` "
        "are taken."
    )
    inhibit_rules: tuple[dict[str, Any], ...] | None = Field(
        None, description="Inhibitions; null leaves those of the run."
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - as pydantic has it
        return beside(data, info, "route", "inhibit_rules")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "routes replaced"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "wrong routes are deployed to Alertmanager, and rolled back"

    @property
    def hits(self) -> tuple[str, ...]:
        """Alertmanager."""
        return (ALERTMANAGER,)

    def hold(self, rig: Rig) -> Undo:
        """Let Alertmanager load them."""
        context = rig.stack.context
        deployment = Deployment(
            context.configuration.alertmanager,
            lambda: rig.stack.pids().get(ALERTMANAGER),
            context.url("alertmanager:9093"),
            RELOADS,
        )
        wrong: dict[str, Any] = {"route": self.route}
        if self.inhibit_rules is not None:
            wrong["inhibit_rules"] = list(self.inhibit_rules)
        scaled = TimeScale(context.factor).alertmanager(wrong)
        before = _shown(deployment)
        deployment.put({**read_mapping(deployment.path), **scaled})

        def restore() -> Seen:
            try:
                after = _shown(deployment)
                succeeded, when = deployment.reloaded()
            except StackError as error:
                return {"refused": str(error)}
            finally:
                deployment.restore()
            return {
                "routes": after != before,
                "succeeded": succeeded,
                "loaded": round(when, 3),
            }

        return restore

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the configuration that Alertmanager showed as the fault ended."""
        seen = last_event(case, phase, self.label)
        if "routes" not in seen:
            text = str(seen.get("refused", "nothing was seen of it"))
            return Effect(phase.name, self.label, took=False, seen=text)
        reload = f"its reload at {seen['loaded'] - phase.start:+.1f} s succeeded"
        if not seen["succeeded"]:
            reload = "it refused to load its file"
        shown = "other routes than before" if seen["routes"] else "the same routes as before"
        text = f"Alertmanager had {shown}, and {reload}"
        return Effect(phase.name, self.label, took=seen["routes"] and seen["succeeded"], seen=text)


def _shown(deployment: Deployment) -> str:
    """The configuration as Alertmanager itself writes it."""
    return str(deployment.ask("/api/v2/status")["config"]["original"])
