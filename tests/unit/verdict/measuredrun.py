"""An API in memory that measures a run of the load truly, for tests that then make it lie."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from testbed.clients.prometheus import Series, SeriesSample
from testbed.facts.sources import RunSpan, Sources
from testbed.layout import RunLayout
from testbed.phases import PhaseRow
from testbed.scenario import Scenario
from testbed.targets import BundledApi
from testbed.truth import PostedLabels, Request, Truth
from testbed_domain.logstore import PredictionRow, open_log
from testbed_otel import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from testbed.clients.prometheus import PrometheusClient
    from testbed_otel.names import Metric

START, SECONDS, RATE, EXPORT = 1000.0, 60, 25, 1.0
VERSION = "rf-1"
INSTANCE = "api-1"
PHASES = (
    PhaseRow(name="calm", start=START, end=START + 30),
    PhaseRow(name="late", start=START + 30, end=START + 62),
)


Labels = tuple[tuple[str, str], ...]
Values = tuple[str, Labels]
OUTER = ("__name__", "job", "instance")


@dataclass(frozen=True, slots=True)
class Call:
    """One measurement: of a counter, or of a histogram."""

    time: float
    instance: str
    metric: Metric
    labels: dict[str, str]
    value: float = 1


def make_requests(injected: float = 0.0) -> list[Request]:
    """Twenty-five a second; each tenth fails; ``injected`` seconds more in the second phase."""
    random = np.random.default_rng(7)
    requests = []
    for number in range(SECONDS * RATE):
        sent = START + number / RATE
        # What all of a second have in common moves the means from export to export.
        slow = 0.004 * (1 + math.sin(number // RATE)) + 0.003 * float(random.random())
        late = injected if sent >= PHASES[1].start + 1 else 0.0
        fails = number % 10 == 9
        requests.append(
            Request(
                f"r{number}", "calm" if sent < PHASES[1].start else "late", sent, sent,
                sent + (0.003 if fails else 0.003 + slow + late), 500 if fails else 200, None,
                None if fails else f"p{number}", seq=number, label=int(number % 3 == 0),
                prediction=None if fails else int(number % 4 == 0),
                probability=None if fails else 0.55 + 0.4 * float(random.random()),
            )
        )  # fmt: skip
    return requests


@dataclass
class MeasuredRun:
    """A run whose every number agrees, until something is changed."""

    requests: list[Request] = field(default_factory=make_requests)
    batches: list[PostedLabels] = field(default_factory=list)
    instances: tuple[str, ...] = (INSTANCE,)
    gone: tuple[str, ...] = ()
    injected: float = 0.0

    def __post_init__(self) -> None:
        if not self.batches:
            seqs = tuple(r.seq for r in self.requests if r.prediction_id is not None)
            self.batches = [
                PostedLabels(START + 61, 200, seqs[:700]),
                PostedLabels(START + 61.2, 200, seqs[700:]),
            ]
            assert len(seqs) == 1350

    def instance(self, request: Request) -> str:
        """Who serves it."""
        return self.instances[request.seq % len(self.instances)]

    def calls(self) -> Iterator[Call]:
        """What a true API measures."""
        for request in self.requests:
            yield from self._request(request)
        instance = self.instances[0]
        http = {
            names.HTTP_METHOD: "POST", names.HTTP_ROUTE: "/labels", names.HTTP_STATUS: "200"
        }  # fmt: skip
        answered = iter([r for r in self.requests if r.prediction_id is not None])
        for batch in self.batches:
            time = batch.sent_at + 0.1
            yield Call(time, instance, names.HTTP_DURATION, http, 0.1)
            for _ in range(batch.count):
                request = next(answered)
                right = "correct" if request.prediction == request.label else "wrong"
                labels = {names.MODEL_VERSION: VERSION, names.OUTCOME: right}
                yield Call(time, instance, names.DECISIONS, labels)

    def _request(self, request: Request) -> Iterator[Call]:
        instance, end = self.instance(request), request.finished_at - 0.001
        model = {names.MODEL_VERSION: VERSION}
        http = {
            names.HTTP_METHOD: "POST",
            names.HTTP_ROUTE: "/predict",
            names.HTTP_STATUS: str(request.status),
        }
        yield Call(
            end, instance, names.HTTP_DURATION, http, request.finished_at - request.sent_at - 0.002
        )
        if request.prediction is None:
            labels = {**model, names.ERROR_TYPE: "injected"}
            yield Call(end, instance, names.PREDICTION_ERRORS, labels)
            return
        late = self.injected if request.sent_at >= PHASES[1].start + 1 else 0.0
        labels = {names.MODEL_NAME: "forest", **model}
        yield Call(end, instance, names.MODEL_INFERENCE, labels, 0.0005 + late)
        labels = {**model, names.PREDICTION_CLASS: str(request.prediction)}
        yield Call(end, instance, names.PREDICTIONS, labels)
        assert request.probability is not None
        yield Call(end, instance, names.PREDICTION_PROBABILITY, labels, request.probability)

    def sources(
        self, tmp_path: Path, alter: Callable[[Call], Iterable[Call]] | None = None
    ) -> Sources:
        """The run as readers of facts find it.

        Args:
            tmp_path: for its files.
            alter: makes other measurements of each true one.
        """
        layout = RunLayout(tmp_path / "run").create()
        layout.run_file.write_text(json.dumps({"model": {"version": VERSION}}))
        on = {"time": PHASES[1].start + 0.5, "event": "fault_on"}
        layout.timeline.write_text(
            "".join(
                json.dumps({**on, "name": name}) + "\n" for name in ("errors 10%", "latency +1.5 s")
            )
        )
        url = f"sqlite:///{layout.prediction_log}"
        self._write_log(url)
        calls = [
            altered for call in self.calls() for altered in (alter(call) if alter else (call,))
        ]
        faults: list[dict[str, Any]] = [{"kind": "errors", "ratio": 0.1}]
        if self.injected:
            faults.append({"kind": "latency", "seconds": self.injected})
        scenario = Scenario.model_validate(
            {
                "name": "measured",
                "title": "Measured",
                "description": "A run in memory.",
                "phases": [
                    {"name": "calm", "duration": 30, "rate": RATE},
                    {"name": "late", "duration": 32, "rate": RATE, "faults": faults},
                ],
            }
        )
        stored = Stored(calls)
        return Sources(
            prometheus=cast("PrometheusClient", stored),
            alertmanager=None,
            layout=layout,
            scenario=scenario,
            factor=1.0,
            truth=Truth(START, START + 62, tuple(self.requests), tuple(self.batches)),
            target=BundledApi(),
            target_pages={
                name: None if name in self.gone else page(calls, stored.final(name))
                for name in self.instances
            },
            log_url=url,
            span=RunSpan(START - 5, START + 70, 1.0),
            phases=PHASES,
        )

    def _write_log(self, url: str) -> None:
        with open_log(url) as log:
            log.append(
                [
                    PredictionRow(
                        id=request.prediction_id,
                        # After the inference, before its commit.
                        time=request.sent_at + 0.0015 + self._late(request),
                        request_id=request.request_id,
                        instance=self.instance(request),
                        model_name="forest",
                        model_version=VERSION,
                        features={"a": 1},
                        prediction=str(request.prediction),
                        probability=request.probability or 0.0,
                        probabilities={},
                    )
                    for request in self.requests
                    if request.prediction_id is not None
                ]
            )

    def _late(self, request: Request) -> float:
        return self.injected if request.sent_at >= PHASES[1].start + 1 else 0.0


def page(calls: Sequence[Call], found: dict[Values, float]) -> str:
    """The ``/metrics`` page with these values."""
    lines = []
    for metric in dict.fromkeys(call.metric for call in calls):
        kind = metric.kind
        lines.append(f"# TYPE {metric.prometheus} {kind}")
        for (name, labels), value in found.items():
            if name in metric.prometheus_series:
                text = ",".join(f'{key}="{item}"' for key, item in labels)
                lines.append(f"{name}{{{text}}} {value!r}")
    right, wrong = (
        found.get((names.DECISIONS.prometheus, (("model_version", VERSION), ("outcome", how))), 0.0)
        for how in ("correct", "wrong")
    )
    version = f'{{model_version="{VERSION}"}}'
    lines += [
        f"# TYPE {names.MODEL_LOADED.prometheus} gauge",
        f'{names.MODEL_LOADED.prometheus}{{model_name="forest",model_version="{VERSION}"}} 1',
    ]
    if right + wrong:
        lines += [
            f"# TYPE {names.MODEL_ACCURACY.prometheus} gauge",
            f"{names.MODEL_ACCURACY.prometheus}{version} {right / (right + wrong)!r}",
        ]
    return "\n".join(lines) + "\n"


class Stored:
    """Prometheus, with an export of each process every second."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._series: list[Series] = []
        instances = dict.fromkeys(call.instance for call in calls)
        for instance in instances:
            own = sorted((c for c in calls if c.instance == instance), key=lambda c: c.time)
            self._series += self._of(own, instance)

    def _of(self, own: Sequence[Call], instance: str) -> Iterator[Series]:
        groups: defaultdict[tuple[Metric, Labels], list[Call]] = defaultdict(list)
        for call in own:
            groups[call.metric, tuple(call.labels.items())].append(call)
        times = np.arange(START + EXPORT, own[-1].time + 2 * EXPORT, EXPORT)
        for (metric, attributes), calls in groups.items():
            labels = {names.label(key): value for key, value in attributes}
            measured = np.array([call.value for call in calls])
            places = np.searchsorted([call.time for call in calls], times, side="right")

            def series(
                name: str,
                amounts: np.ndarray,
                places: np.ndarray = places,
                labels: dict[str, str] = labels,
                **more: str,
            ) -> Series:
                values = np.concatenate([[0.0], np.cumsum(amounts)])[places]
                outer = {"__name__": name, "job": "ml-api", "instance": instance}
                points = tuple(zip(times.tolist(), values.tolist(), strict=True))
                return Series({**outer, **labels, **more}, points)

            name = metric.prometheus
            if metric.kind != "histogram":
                yield series(name, measured)
                continue
            yield series(f"{name}_count", np.ones(len(calls)))
            yield series(f"{name}_sum", measured)
            for bound in metric.buckets:
                yield series(f"{name}_bucket", measured <= bound, le=str(float(bound)))
            yield series(f"{name}_bucket", np.ones(len(calls)), le="+Inf")

    def final(self, instance: str) -> dict[Values, float]:
        """Final values of one process."""
        return {
            (each.labels["__name__"], tuple(sorted(own.items()))): each.points[-1][1]
            for each in self._series
            if each.labels["instance"] == instance
            for own in ({k: v for k, v in each.labels.items() if k not in OUTER},)
        }

    def raw(self, selector: str, *, at: float, window: float) -> list[Series]:
        """All series that the selector names, which is not looked into any further."""
        del at, window
        return [each for each in self._series if each.labels["__name__"] in selector]

    def last_values(self, selector: str, *, at: float, window: float) -> list[SeriesSample]:
        """The last value of each series of the instance that the selector names."""
        del at, window
        return [
            SeriesSample(each.labels, *each.points[-1])
            for each in self._series
            if f'"{each.labels["instance"]}"' in selector
        ]


def changed(call: Call, **changes: Any) -> Call:  # noqa: ANN401 - any field
    """A measurement with other fields."""
    return replace(call, **changes)
