"""What each fault does to the stack, and how it is undone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from testbed.faults import FaultModel
from testbed.faults.api import ApiFault, ErrorFault, LatencyFault, LogFault, UnloadFault
from testbed.faults.clock import ClockFault
from testbed.faults.export import OtlpFault, UndiscoveredFault
from testbed.faults.leak import LeakFault
from testbed.faults.overload import OverloadFault
from testbed.faults.processes import RestartFault
from testbed.faults.prometheus import ConfigFault, OldSamplesFault, RulesFault
from testbed.faults.rig import Rig
from testbed.faults.telemetry import TelemetryFault


class Recorder:
    """Stands in for everything below a rig, and writes down what is called."""

    def __init__(self, calls: list[tuple[object, ...]], name: str = "") -> None:
        self._calls, self._name = calls, name

    def __getattr__(self, name: str) -> Recorder:
        return Recorder(self._calls, f"{self._name}.{name}".lstrip("."))

    def __getitem__(self, key: str) -> Recorder:
        return Recorder(self._calls, f"{self._name}[{key}]")

    def __call__(self, *arguments: object) -> None:
        """Write the call down."""
        self._calls.append((self._name, *arguments))


def calls_of(fault: FaultModel) -> list[tuple[object, ...]]:
    """What its begin and its end call."""
    calls: list[tuple[object, ...]] = []
    rig = cast(
        "Rig",
        SimpleNamespace(
            stack=Recorder(calls),
            api=Recorder(calls, "api"),
            prometheus=Recorder(calls, "prometheus"),
        ),
    )
    fault.begin(rig)
    fault.end(rig)
    return calls


@pytest.mark.parametrize(
    ("fault", "begins", "ends"),
    [
        (ErrorFault(ratio=0.2), ("api.set", "errors", {"ratio": 0.2}), ("api.clear", "errors")),
        (
            LatencyFault(seconds=1.5, ratio=0.1),
            ("api.set", "latency", {"seconds": 1.5, "ratio": 0.1}),
            ("api.clear", "latency"),
        ),
        (UnloadFault(), ("api.set", "unloaded", {}), ("api.clear", "unloaded")),
        (
            RestartFault(component="api", down=60),
            ("stop_component", "api"),
            ("start_component", "api"),
        ),
        (UndiscoveredFault(), ("replicas.hide",), ("replicas.show",)),
        (
            OtlpFault(to="prometheus", status=400),
            ("context.gates[prometheus].shut", 400),
            ("context.gates[prometheus].open",),
        ),
        (LogFault(), ("api.set", "log", {}), ("api.clear", "log")),
        (ConfigFault(), ("prometheus.break_configuration",), ("prometheus.mend",)),
        (
            RulesFault(group="failing"),
            ("prometheus.add_rules", "failing"),
            ("prometheus.mend",),
        ),
        (
            OldSamplesFault(),
            ("prometheus.send_old_samples",),
            ("prometheus.stop_sending",),
        ),
    ],
)
def test_a_fault_is_done_and_undone(fault: FaultModel, begins: Any, ends: Any) -> None:  # noqa: ANN401 - tuples of any length
    """One call each, and its words are for people."""
    assert calls_of(fault) == [begins, ends]
    assert fault.label
    assert not fault.description.endswith(".")


def test_faults_of_the_api_are_those_that_it_offers() -> None:
    """The body of PUT /faults is what the API's own models take."""
    from testbed_api.serving.faults import FaultState  # noqa: PLC0415 - the API is no part of the runner

    made: list[ApiFault] = [
        ErrorFault(ratio=0.2),
        LatencyFault(seconds=1),
        UnloadFault(),
        LogFault(),
        OverloadFault(rate=20),
        LeakFault(mib_per_second=5),
        TelemetryFault(missed=0.01),
        ClockFault(seconds=60),
    ]
    state = {fault.key: fault.model_dump(exclude={"kind"}) for fault in made}
    assert set(state) == set(FaultState.model_fields)
    assert FaultState.model_validate(state).model_dump() == state
