"""The prediction log of a service that writes none: what the load sent and got back.

A thread of the runner follows the truth while the load writes it. Labels come after their delay,
as a caller would post them.
"""

from __future__ import annotations

import time
from contextlib import closing
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Final, Self

from testbed_domain.artefact import load_artefact
from testbed_domain.errors import DomainError
from testbed_domain.logrows import PredictionRow
from testbed_domain.logstore import open_log
from testbed_load.labels import DelayedLabels
from testbed_load.plan import LabelPlan
from testbed_load.truth import REQUESTS

from testbed.errors import StackError
from testbed.tail import JsonLinesTail
from testbed.targets.scoring import probabilities

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact
    from testbed_domain.logstore import PredictionLog

    from testbed.layout import RunLayout
    from testbed.scenario import Labels

LOOK: Final = 0.2
"""Seconds between two looks at the truth."""


class TruthRecorder:
    """Writes the prediction log from the truth, from its begin to its end.

    Args:
        layout: files of the run.
        log_url: SQLAlchemy URL of the prediction log.
        labels: of the scenario, in production seconds.
        factor: production seconds per real second.
        seed: of the run; says which labels come.
        service: name of the service, as its instance.
    """

    def __init__(
        self,
        layout: RunLayout,
        log_url: str,
        labels: Labels,
        factor: float,
        *,
        seed: int,
        service: str,
    ) -> None:
        self._layout = layout
        self._log_url = log_url
        self._labels = DelayedLabels(LabelPlan(labels.ratio, labels.delay / factor), seed)
        self._service = service
        self._tail = JsonLinesTail(layout.truth / REQUESTS)
        self._ending = Event()
        self._failure: DomainError | None = None
        self._thread = Thread(target=self._run, name="truth-recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        if self._failure is not None and kind is None:
            raise StackError(f"the prediction log could not be written: {self._failure}")

    def _run(self) -> None:
        try:
            artefact = load_artefact(self._layout.model)
            with closing(open_log(self._log_url)) as log:
                while not self._ending.wait(LOOK):
                    self._record(log, artefact, time.time())
                # The load has ended: what has not come by now is known all the same.
                self._record(log, artefact, float("inf"))
        except DomainError as error:
            self._failure = error

    def _record(self, log: PredictionLog, artefact: Artefact, now: float) -> None:
        rows = []
        for line in self._tail.read():
            if line.get("prediction_id") is not None:
                rows.append(self._row(artefact, line))
                finished = float(line["finished_at"])
                self._labels.add(line["seq"], line["prediction_id"], line["label"], finished)
        log.append(rows, missing=True)
        while batch := self._labels.take(now):
            arrived = min(now, time.time())
            log.append_labels([(each.prediction_id, str(each.label), arrived) for each in batch])

    def _row(self, artefact: Artefact, line: dict[str, Any]) -> PredictionRow:
        probability = line.get("probability")
        return PredictionRow(
            id=line["prediction_id"],
            time=float(line["finished_at"]),
            request_id=line["request_id"],
            instance=self._service,
            model_name=artefact.name,
            model_version=artefact.version,
            features=line["features"],
            prediction=str(line["prediction"]),
            probability=probability or 0.0,
            probabilities=probabilities(artefact.schema, line["prediction"], probability),
        )
