"""Identity of a run, as far as facts need it: from ``run.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testbed.errors import UsageError

if TYPE_CHECKING:
    from testbed.layout import RunLayout


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What ``run.json`` says.

    Attributes:
        id: of the run, prefix of every request id.
        seed: of the traffic.
        use_case: its name.
        model: name and version of the model that is served.
        export_interval: real seconds between two exports of metrics.
        trace_ratio: share of the requests that are sampled; None where it says none.
    """

    id: str
    seed: int
    use_case: str
    model: tuple[str, str]
    export_interval: float
    trace_ratio: float | None = None


def read_identity(layout: RunLayout) -> RunIdentity:
    """Read it.

    Raises:
        UsageError: the file is missing or broken.
    """
    try:
        content = json.loads(layout.run_file.read_text(encoding="utf-8"))
        model, ratio = content.get("model") or {}, content.get("trace_ratio")
        return RunIdentity(
            id=str(content["id"]),
            seed=int(content["seed"]),
            use_case=str(content["use_case"]),
            model=(str(model.get("name", "")), str(model.get("version", ""))),
            export_interval=float(content["export_interval"]),
            trace_ratio=None if ratio is None else float(ratio),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{layout.run_file} gives no identity of the run: {error!r}") from error
