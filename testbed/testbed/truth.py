"""Ground truth of the load, read back: what was sent, when, and what came back."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from testbed_domain.jsonlines import parse_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from testbed_domain.features import Label, Value

Json: TypeAlias = dict[str, Any]
T = TypeVar("T")

OTHERS: Final = "others.jsonl"
"""Requests that faults sent beside the load."""


@dataclass(frozen=True, slots=True)
class Request:
    """One prediction request; times are Unix seconds.

    Attributes:
        request_id: what was sent as ``X-Request-ID``.
        phase: phase that it belongs to.
        scheduled_at: when the plan wanted it sent.
        sent_at: when it was sent.
        finished_at: when the answer had come, or the load gave up.
        status: HTTP status, or None without an answer.
        error: ``timeout``, ``connection`` or ``reset``, or None with an answer.
        prediction_id: id in the answer, where there was one.
        seq: number of the request within the plan.
        drift: name of the phase's drift, or None.
        severity: its severity.
        features: the row that was sent.
        label: its true class or number.
        prediction: class or number in the answer.
        probability: probability in the answer; None of a number.
        trace_id: trace that it was sent in, or None.
        sampled: whether the API was asked to store that trace.
        free_at: when the user of the load that sent it had the end of its request before; None for
            the first of a user.
    """

    request_id: str
    phase: str
    scheduled_at: float
    sent_at: float
    finished_at: float
    status: int | None
    error: str | None
    prediction_id: str | None
    seq: int = -1
    drift: str | None = None
    severity: float = 0.0
    features: Mapping[str, Value] = field(default_factory=dict)
    label: Label | None = None
    prediction: Label | None = None
    probability: float | None = None
    trace_id: str | None = None
    sampled: bool = False
    free_at: float | None = None

    @property
    def lateness(self) -> float:
        """Seconds by which the load sent it later than it could.

        A user awaits one answer at a time: that none was free when the request was due is the
        service's doing, and shows in the latency.
        """
        free = self.scheduled_at if self.free_at is None else self.free_at
        return max(0.0, self.sent_at - max(self.scheduled_at, free))

    @property
    def latency(self) -> float:
        """Seconds from when it was due to its end: a load that had to wait hides no latency."""
        return self.finished_at - self.scheduled_at

    @property
    def failed(self) -> bool:
        """Whether the service failed it: answered 5xx, or not at all."""
        return self.status is None or self.status >= 500  # noqa: PLR2004 - HTTP's server errors


@dataclass(frozen=True, slots=True)
class PostedLabels:
    """One ``POST /labels``; ``status`` is None without an answer.

    Attributes:
        sent_at: Unix seconds.
        status: HTTP status.
        seqs: numbers of the requests whose labels they are.
    """

    sent_at: float
    status: int | None
    seqs: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many labels."""
        return len(self.seqs)


@dataclass(frozen=True, slots=True)
class Truth:
    """All that the load wrote.

    Attributes:
        started_at: Unix time of the first phase's start, or None if the load never began.
        ended_at: Unix time at which all was written, or None if the load did not end.
        requests: one per prediction request.
        labels: one per label batch.
        missed: planned requests that overload left unsent when their phase ended.
        problems: what is missing or broken, one line each.
        others: requests that faults sent beside the load; no plan has them.
    """

    started_at: float | None
    ended_at: float | None
    requests: tuple[Request, ...] = ()
    labels: tuple[PostedLabels, ...] = ()
    problems: tuple[str, ...] = ()
    missed: int = 0
    others: tuple[Request, ...] = ()

    @property
    def all_requests(self) -> tuple[Request, ...]:
        """All that the service was asked for predictions, by the load and beside it."""
        return (*self.requests, *self.others)


def read_truth(folder: Path) -> Truth:
    """Read the truth, by time; whatever is missing or broken becomes a problem.

    Several processes that send one load report in turns, so their lines are not in order of time.
    """
    problems: list[str] = []
    start = _read_json(folder / "start.json", problems)
    end = _read_json(folder / "end.json", problems)
    requests = tuple(_parse(folder / "requests.jsonl", _request, problems))
    labels = tuple(_parse(folder / "labels.jsonl", _labels, problems, required=False))
    if end is not None:
        _compare("requests", end.get("requests"), len(requests), problems)
        _compare("labels", end.get("labels"), sum(batch.count for batch in labels), problems)
    missed = (end or {}).get("missed")
    return Truth(
        _at(start),
        _at(end),
        tuple(sorted(requests, key=lambda request: request.finished_at)),
        tuple(sorted(labels, key=lambda batch: batch.sent_at)),
        tuple(problems),
        missed=missed if isinstance(missed, int) else 0,
        others=tuple(_parse(folder / OTHERS, _request, problems, required=False)),
    )


def read_lines(path: Path, problems: list[str], *, required: bool = True) -> Iterator[Json]:
    """Objects of a JSON Lines file; a broken line is counted as a problem and passed over."""
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError:
        if required:
            problems.append(f"{path.name} is missing")
        return
    broken = 0
    with file:
        for line in file:
            if not line.strip():
                continue
            try:
                entry = parse_line(line)
            except ValueError:
                entry = None
            if isinstance(entry, dict):
                yield entry
            else:
                broken += 1
    if broken:
        problems.append(f"{path.name}: {broken} broken {'line' if broken == 1 else 'lines'}")


def _parse(
    path: Path, parse: Callable[[Json], T], problems: list[str], *, required: bool = True
) -> Iterator[T]:
    incomplete = 0
    for entry in read_lines(path, problems, required=required):
        try:
            yield parse(entry)
        except (KeyError, TypeError, ValueError):
            incomplete += 1
    if incomplete:
        problems.append(f"{path.name}: {incomplete} lines lack a field")


def _request(entry: Json) -> Request:
    sent = float(entry["sent_at"])
    scheduled, finished = entry.get("scheduled_at"), entry.get("finished_at")
    status, free = entry["status"], entry.get("free_at")
    return Request(
        request_id=str(entry["request_id"]),
        phase=str(entry["phase"]),
        scheduled_at=sent if scheduled is None else float(scheduled),
        sent_at=sent,
        finished_at=sent if finished is None else float(finished),
        status=None if status is None else int(status),
        error=entry.get("error"),
        prediction_id=entry.get("prediction_id"),
        seq=int(entry.get("seq", -1)),
        drift=entry.get("drift"),
        severity=float(entry.get("severity") or 0.0),
        features=entry.get("features") or {},
        label=entry.get("label"),
        prediction=entry.get("prediction"),
        probability=entry.get("probability"),
        trace_id=entry.get("trace_id"),
        sampled=bool(entry.get("sampled")),
        free_at=None if free is None else float(free),
    )


def _labels(entry: Json) -> PostedLabels:
    status = entry["status"]
    seqs = tuple(map(int, entry["seqs"]))
    return PostedLabels(float(entry["sent_at"]), None if status is None else int(status), seqs)


def _read_json(path: Path, problems: list[str]) -> Json | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        problems.append(f"{path.name} is missing: the load did not get that far")
        return None
    except ValueError:
        content = None
    if not isinstance(content, dict):
        problems.append(f"{path.name} is broken")
        return None
    return content


def _at(content: Json | None) -> float | None:
    time = (content or {}).get("time")
    return float(time) if isinstance(time, (int, float)) else None


def _compare(what: str, promised: object, found: int, problems: list[str]) -> None:
    if isinstance(promised, int) and promised != found:
        problems.append(f"end.json speaks of {promised} {what}, {found} were written")
