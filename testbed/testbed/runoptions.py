"""What the caller of a run may choose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from testbed.owndata import OwnData

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.ownmodel import OwnModel
    from testbed.targets import TargetModel


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the caller of a run may choose.

    Attributes:
        use_case: in place of the scenario's.
        own: the user's own table.
        seed: seed of the traffic.
        time_scale: in place of the scenario's.
        rules: rules file, or folder of them, in place of ``prometheus/rules``.
        rules_given: these, as the caller gave them.
        rules_aside: what of these is not played, one line each.
        without: components to leave out.
        out: folder of the run, in place of ``.testbed/runs/<id>``.
        replicas: processes of the API.
        target: the system under test, in place of the scenario's.
        model: the user's own, which the API serves in place of one that is trained.
        alertmanager: configuration of Alertmanager in place of the project's.
        prometheus: configuration of Prometheus besides the project's; its rules are in ``rules``.
        guarded: whether only telemetry of this very run is taken in: at ports that nothing else
            knows, and with an id. Else the ports are the usual ones, for anyone to send to.
    """

    use_case: str | None = None
    own: OwnData = field(default_factory=OwnData)
    seed: int = 1
    time_scale: float | None = None
    rules: Path | None = None
    rules_given: str | None = None
    rules_aside: tuple[str, ...] = ()
    without: frozenset[str] = frozenset()
    out: Path | None = None
    replicas: int = 1
    target: TargetModel | None = None
    model: OwnModel | None = None
    alertmanager: Path | None = None
    prometheus: Path | None = None
    guarded: bool = True
