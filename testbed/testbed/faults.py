"""The faults of a scenario: what each is, what it does to the stack, and how it is undone.

One class per kind holds all of it: the fields of the scenario file, what begins and ends it, and
its words for the timeline and for the documentation.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from testbed import challenger
from testbed.fields import Duration, Share, StrictModel
from testbed.timescale import format_duration

if TYPE_CHECKING:
    from testbed.rig import Rig


class FaultModel(StrictModel):
    """Base of the kinds: a fault of one phase, which begins with it."""

    @property
    @abstractmethod
    def label(self) -> str:
        """What the timeline calls it; faults of one phase differ in its first word."""

    @property
    @abstractmethod
    def description(self) -> str:
        """A sentence for the documentation, without its full stop."""

    @abstractmethod
    def begin(self, rig: Rig) -> None:
        """Let it happen."""

    @abstractmethod
    def end(self, rig: Rig) -> None:
        """Undo it."""

    @property
    def by_http(self) -> bool:
        """Whether the API's management port does it, so that it needs no hold of any process."""
        return False

    def lasts(self, phase: float) -> float:
        """Production seconds from its begin to its end, given those of the phase."""
        return phase


class ApiFault(FaultModel):
    """Base of the faults that the API's own fault control does.

    Attributes:
        key: of the fault in the body of ``PUT /faults``.
    """

    key: ClassVar[str]

    @property
    def by_http(self) -> bool:
        """It is done there."""
        return True

    def begin(self, rig: Rig) -> None:
        """Turn it on in each replica."""
        rig.api.set(self.key, self.model_dump(exclude={"kind"}))

    def end(self, rig: Rig) -> None:
        """Turn it off again."""
        rig.api.clear(self.key)


class ErrorFault(ApiFault):
    """Share of predictions that the API answers with 500, evenly spread."""

    key: ClassVar[str] = "errors"
    kind: Literal["errors"] = "errors"
    share: Share

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"errors {_percent(self.share)}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{_percent(self.share)} of the predictions fail"


class LatencyFault(ApiFault):
    """Latency added to inferences, in real seconds: latency limits don't scale."""

    key: ClassVar[str] = "latency"
    kind: Literal["latency"] = "latency"
    seconds: float = Field(gt=0, le=60)
    share: Share = Field(1.0, description="Share of the inferences that it hits, evenly spread.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        hit = "" if self.share == 1 else f" for {_percent(self.share)}"
        return f"latency +{self.seconds:g} s{hit}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        hit = "inference" if self.share == 1 else f"{_percent(self.share)} of the inferences"
        return f"{hit} {'takes' if self.share == 1 else 'take'} {self.seconds:g} s longer"


class UnloadFault(ApiFault):
    """The API's model is unloaded: predictions are answered with 503."""

    key: ClassVar[str] = "unloaded"
    kind: Literal["unloaded"] = "unloaded"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "model unloaded"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "the model is unloaded"


class LogFault(ApiFault):
    """The API's prediction log refuses every write, as a database whose disk is full does."""

    key: ClassVar[str] = "log"
    kind: Literal["log"] = "log"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "prediction log refuses writes"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "the prediction log refuses every write"


class RestartFault(FaultModel):
    """A part of the stack that is stopped at the start of the phase and comes back later."""

    kind: Literal["restart"] = "restart"
    part: str
    down: Duration

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"{self.part} stopped"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"{self.part} is down for {format_duration(self.down)}"

    def begin(self, rig: Rig) -> None:
        """Stop the part, and wait for its end."""
        rig.stack.stop_part(self.part)

    def end(self, rig: Rig) -> None:
        """Start it again, without waiting for it."""
        rig.stack.start_part(self.part)

    def lasts(self, phase: float) -> float:
        """As long as it is down, even beyond its phase."""
        del phase
        return self.down


class UndiscoveredFault(FaultModel):
    """The API's replicas are no scrape targets: Prometheus neither finds nor misses them."""

    kind: Literal["undiscovered"] = "undiscovered"

    @property
    def label(self) -> str:
        """Of the timeline."""
        return "targets undiscovered"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return "the API is gone from Prometheus's service discovery"

    def begin(self, rig: Rig) -> None:
        """Empty the file of targets."""
        rig.stack.replicas.hide()

    def end(self, rig: Rig) -> None:
        """Fill it again."""
        rig.stack.replicas.show()


class OtlpFault(FaultModel):
    """OTLP exports are refused, in place of the part that would take them.

    Those to the Collector are the API's, those to Prometheus are all metrics.
    """

    kind: Literal["otlp"] = "otlp"
    to: Literal["collector", "prometheus"]
    status: Literal[400, 503] = Field(
        503, description="What they are answered: 400 is final, 503 asks to try again."
    )

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"exports to {self.to} refused with {self.status}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        whose = (
            "the API's exports to the Collector"
            if self.to == "collector"
            else ("the Collector's exports to Prometheus")
        )
        return f"{whose} are answered {self.status}"

    def begin(self, rig: Rig) -> None:
        """Shut the gate before the part."""
        rig.stack.context.gates[self.to].shut(self.status)

    def end(self, rig: Rig) -> None:
        """Open it."""
        rig.stack.context.gates[self.to].open()


class ConfigFault(FaultModel):
    """Prometheus is asked to load a configuration that it can't read, and refuses it."""

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


class RulesFault(FaultModel):
    """Prometheus is given one more group of rules, which it can't evaluate as it should."""

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


class OldSamplesFault(FaultModel):
    """Somebody sends Prometheus metrics that are too old for it to take."""

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


class ChallengerFault(FaultModel):
    """A second model version answers a share of the requests, under a name of its own.

    The drift job knows nothing of a model of that name, so it can't evaluate the version.
    """

    kind: Literal["challenger"] = "challenger"
    split: Share = Field(description="Share of the requests that it answers.")

    @property
    def label(self) -> str:
        """Of the timeline."""
        return f"challenger {_percent(self.split)}"

    @property
    def description(self) -> str:
        """Of the documentation."""
        return f"a version that the drift job does not know answers {_percent(self.split)}"

    def begin(self, rig: Rig) -> None:
        """Make a copy of the model under another name, and let the API load it."""
        context = rig.stack.context
        challenger.put(
            context.management,
            context.layout.model,
            split=self.split,
            token_file=context.layout.management_token,
        )

    def end(self, rig: Rig) -> None:
        """Withdraw it."""
        context = rig.stack.context
        challenger.withdraw(context.management, context.layout.management_token)


Fault = Annotated[
    ErrorFault
    | LatencyFault
    | UnloadFault
    | LogFault
    | RestartFault
    | UndiscoveredFault
    | OtlpFault
    | ConfigFault
    | RulesFault
    | OldSamplesFault
    | ChallengerFault,
    Field(discriminator="kind"),
]


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"
