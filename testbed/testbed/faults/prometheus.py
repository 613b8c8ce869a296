"""Faults of Prometheus: a broken configuration, bad rules, samples that are too old."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from testbed.faults.base import FAULTS, FaultModel, Measuring

if TYPE_CHECKING:
    from testbed.faults.rig import Rig


@FAULTS.register
class ConfigFault(FaultModel):
    """Prometheus is asked to load a configuration that it can't read, and refuses it."""

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["config"] = "config"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "configuration broken"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "Prometheus is given a configuration that it can't read"

    def begin(self, rig: Rig) -> None:
        """Break the file and let Prometheus load it."""
        rig.prometheus.break_configuration()

    def end(self, rig: Rig) -> None:
        """Mend the file and let Prometheus load it."""
        rig.prometheus.mend()


@FAULTS.register
class RulesFault(FaultModel):
    """Prometheus is given one more group of rules, which it can't evaluate as it should."""

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["rules"] = "rules"
    group: Literal["failing", "hurried"] = Field(
        description="failing: its rule can't be evaluated; hurried: its interval is too short for "
        "its evaluation."
    )

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"rules {self.group}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        if self.group == "failing":
            return "a further rule can't be evaluated"
        return "a further group of rules takes longer than its interval"

    def begin(self, rig: Rig) -> None:
        """Write the group and let Prometheus load it."""
        rig.prometheus.add_rules(self.group)

    def end(self, rig: Rig) -> None:
        """Take it away again."""
        rig.prometheus.mend()


@FAULTS.register
class OldSamplesFault(FaultModel):
    """Somebody sends Prometheus metrics that are too old for it to take."""

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["old-samples"] = "old-samples"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "old samples"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "somebody sends Prometheus samples that are a day old"

    def begin(self, rig: Rig) -> None:
        """Send some again and again."""
        rig.prometheus.send_old_samples()

    def end(self, rig: Rig) -> None:
        """Send no more."""
        rig.prometheus.stop_sending()
