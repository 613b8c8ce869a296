"""The ground truth: what was sent, when, drifted how, and what came back.

Three kinds of file in one directory, as ``docs/architecture.md`` says; the table of
:mod:`testbed_load.truthtable` comes at the end. Lines go out whole, one write each, so a process
that is killed leaves at most its last line unwritten, never a torn file under a final name.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from testbed_domain.shallow import shallow_dict

from testbed_load.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from testbed_domain.features import Label, Row

START: Final = "start.json"
END: Final = "end.json"
REQUESTS: Final = "requests.jsonl"
LABELS: Final = "labels.jsonl"

ErrorKind: TypeAlias = Literal["timeout", "connection", "reset"]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One prediction request that was attempted; times are Unix seconds.

    Attributes:
        seq: number of the request within the plan.
        request_id: its X-Request-ID, which the prediction log keeps.
        phase: name of the phase.
        scheduled_at: when it was due.
        sent_at: when it went out; later than due where the service can't keep up.
        finished_at: when the answer or the error came.
        drift: name of the phase's drift, or None where there is none, or its form has paused.
        severity: its severity, 0 without drift.
        features: the row.
        label: its true class or number.
        status: HTTP status, or None where no answer came.
        error: why no answer came, or None.
        prediction_id: id that the service gave the prediction.
        prediction: class or number that it predicted.
        probability: probability that it gave this class; None of a number.
        trace_id: of the trace that it was sent in, 32 hexadecimal digits; None without one.
        sampled: whether the service was asked to store that trace.
        free_at: when its user had the end of the request before it, and could send this one; None
            for the first of a user.
    """

    seq: int
    request_id: str
    phase: str
    scheduled_at: float
    sent_at: float
    finished_at: float
    drift: str | None
    severity: float
    features: Row
    label: Label
    status: int | None
    error: ErrorKind | None
    prediction_id: str | None
    prediction: Label | None
    probability: float | None
    trace_id: str | None = None
    sampled: bool = False
    free_at: float | None = None


class TruthSink(Protocol):
    """Keeps what the load did."""

    def started(self, time: float) -> None:
        """The first phase begins."""

    def request(self, record: RequestRecord) -> None:
        """A prediction request ended, whatever way."""

    def labels(self, sent_at: float, status: int | None, seqs: Sequence[int]) -> None:
        """A batch of labels was posted: those of the requests of these numbers."""

    def ended(self, time: float, *, missed: int) -> None:
        """Nothing comes any more; ``missed`` planned requests were never sent."""


class NoTruth:
    """Keeps nothing: for load that no verdict evaluates."""

    def started(self, time: float) -> None:
        """Nothing to do."""

    def request(self, record: RequestRecord) -> None:
        """Nothing to do."""

    def labels(self, sent_at: float, status: int | None, seqs: Sequence[int]) -> None:
        """Nothing to do."""

    def ended(self, time: float, *, missed: int) -> None:
        """Nothing to do."""


class TruthWriter:
    """Writes the truth into a directory.

    Args:
        directory: is made where it is missing; must hold no truth yet.

    Raises:
        LoadError: the directory can't be written, or holds the truth of another run.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._requests = 0
        self._labels = 0
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._request_lines: IO[bytes] = (directory / REQUESTS).open("xb")
            self._label_lines: IO[bytes] = (directory / LABELS).open("xb")
        except FileExistsError:
            raise LoadError(
                f"{directory} holds the truth of another run; choose another directory"
            ) from None
        except OSError as error:
            raise LoadError(f"cannot write the truth to {directory}: {error.strerror}") from error

    def started(self, time: float) -> None:
        """Write ``start.json``."""
        self._write(START, {"time": time})

    def request(self, record: RequestRecord) -> None:
        """Append one line to ``requests.jsonl``."""
        _append(self._request_lines, shallow_dict(record))
        self._requests += 1

    def labels(self, sent_at: float, status: int | None, seqs: Sequence[int]) -> None:
        """Append one line to ``labels.jsonl``."""
        _append(self._label_lines, {"sent_at": sent_at, "status": status, "seqs": [*seqs]})
        self._labels += len(seqs)

    def ended(self, time: float, *, missed: int) -> None:
        """Write ``end.json`` and close the files."""
        self._request_lines.close()
        self._label_lines.close()
        counts = {"requests": self._requests, "labels": self._labels, "missed": missed}
        self._write(END, {"time": time, **counts})

    def _write(self, name: str, content: dict[str, Any]) -> None:
        temporary = self.directory / f".{name}.{os.getpid()}"
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
        temporary.replace(self.directory / name)


def _append(file: IO[bytes], content: dict[str, Any]) -> None:
    file.write(json.dumps(content, allow_nan=False).encode() + b"\n")
    file.flush()
