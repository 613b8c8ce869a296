"""A wrong rule file that is deployed, and rolled back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from testbed_domain.yamlfile import read_mapping
from testbed_rules.scaling import scaled_rules, unscaled_numbers

from testbed.errors import StackError
from testbed.faults.base import FAULTS, HeldFault, Measuring, Seen
from testbed.faults.effects import Effect, last_event
from testbed.faults.rig.deployment import Deployment

if TYPE_CHECKING:
    from testbed.checks.case import Case
    from testbed.faults.rig import Rig, Undo
    from testbed.phases import PhaseRow

RELOADS: Final = "prometheus_config_last_reload_successful"
PROMETHEUS: Final = "prometheus"
SHOWN: Final = ("name", "query", "duration", "keepFiringFor", "labels", "annotations")


@FAULTS.register
class RuleFileFault(HeldFault):
    """A rule file of the run is replaced, and put back as the phase ends, each time by a reload.

    Its durations are those of production. It took hold where Prometheus said that the reload
    succeeded and then listed its rules. The replay of the rules that it changed, and their texts in
    notifications, are not compared with those of the run.
    """

    cuts: ClassVar[tuple[Measuring, ...]] = ()
    kind: Literal["rule-file"] = "rule-file"
    replaces: str = Field(
        pattern=r"^[\w.-]+\.yml$",
        description="Rule file of the run in whose place it is loaded, as `api.yml`; beside the "
        "others, where the run has none of that name.",
    )
    groups: tuple[dict[str, Any], ...] = Field(
        min_length=1,
        description="Groups of rules as Prometheus has them. `file` may stand in their place: a "
        "rule file beside the scenario.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read(cls, data: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - as pydantic has it
        return beside(data, info, "groups")

    @field_validator("groups")
    @classmethod
    def _readable(cls, groups: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        for group in groups:
            rules = group.get("rules")
            if "name" not in group or not isinstance(rules, list):
                raise ValueError("each group needs a name and rules")
            for rule in rules:
                named = isinstance(rule, dict) and ("alert" in rule) != ("record" in rule)
                if not named or "expr" not in rule:
                    raise ValueError("each rule needs alert or record, and expr")
        scaled_rules({"replaced": {"groups": list(groups)}}, 1)
        return groups

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"rules of {self.replaces} replaced"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"a wrong {self.replaces} is deployed, and rolled back"

    @property
    def hits(self) -> tuple[str, ...]:
        """Prometheus."""
        return (PROMETHEUS,)

    def unscaled(self, factor: float) -> str | None:
        """A rule with a number that can't be divided: it would be wrong in another way."""
        found = unscaled_numbers({self.replaces: {"groups": list(self.groups)}}, factor)
        return str(found[0]) if found else None

    def hold(self, rig: Rig) -> Undo:
        """Let Prometheus load it."""
        context = rig.stack.context
        deployment = Deployment(
            context.configuration.rules / self.replaces,
            lambda: rig.stack.pids().get(PROMETHEUS),
            context.url("prometheus:9090"),
            RELOADS,
        )
        before = _loaded(deployment, self.replaces)
        groups = {self.replaces: {"groups": list(self.groups)}}
        deployment.put(scaled_rules(groups, context.factor)[self.replaces])

        def restore() -> Seen:
            try:
                after = _loaded(deployment, self.replaces)
                succeeded, when = deployment.reloaded()
            except StackError as error:
                return {"refused": str(error)}
            finally:
                deployment.restore()
            changed = {
                rule["name"] for rule in (*before, *after) if (rule in before) != (rule in after)
            }
            return {"rules": sorted(changed), "succeeded": succeeded, "loaded": round(when, 3)}

        return restore

    def effect(self, case: Case, phase: PhaseRow) -> Effect:
        """By the rules that Prometheus said it had loaded as the fault ended."""
        seen = last_event(case, phase, self.label)
        if "rules" not in seen:
            text = str(seen.get("refused", "nothing was seen of it"))
            return Effect(phase.name, self.label, took=False, seen=text)
        rules = ", ".join(seen["rules"]) or "no rule"
        reload = f"its reload at {seen['loaded'] - phase.start:+.1f} s succeeded"
        if not seen["succeeded"]:
            reload = "it refused to load its files"
        text = f"Prometheus had {rules} otherwise than before, and {reload}"
        took = bool(seen["rules"]) and bool(seen["succeeded"])
        return Effect(phase.name, self.label, took=took, seen=text)


def beside(data: Any, info: ValidationInfo, *keys: str) -> Any:  # noqa: ANN401 - as pydantic has it
    """Fields of a fault, of which some may stand in a file beside the scenario."""
    if not isinstance(data, dict) or "file" not in data:
        return data
    if any(key in data for key in keys):
        raise ValueError(f"give either file or {' and '.join(keys)}")
    folder = (info.context or {}).get("folder")
    if folder is None:
        raise ValueError(f"a file is named by scenarios only; give {' and '.join(keys)}")
    found = read_mapping(Path(folder) / str(data["file"]))
    rest = {key: value for key, value in data.items() if key != "file"}
    return rest | {key: found[key] for key in keys if key in found}


def _loaded(deployment: Deployment, file: str) -> list[dict[str, Any]]:
    """The rules that Prometheus holds of a file, without what changes by itself."""
    groups = deployment.ask("/api/v1/rules")["data"]["groups"]
    return [
        {key: rule.get(key) for key in SHOWN}
        for group in groups
        if str(group["file"]).rpartition("/")[2] == file
        for rule in group["rules"]
    ]
