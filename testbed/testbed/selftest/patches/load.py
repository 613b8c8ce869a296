"""Defects in the load: what is sent, or written down of it, is not what was planned.

Runs in Locust's process, after gevent; so nothing here may import Locust's users.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from testbed_load import drifts, shards, traffic
from testbed_load.playback import Playback
from testbed_load.schedule import Schedule
from testbed_load.shards import Shard

from testbed.selftest.patches.tools import Every, put, wrap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed_domain.artefact import LabelledRow


def _severity(change: Callable[[float], float]) -> None:
    original = drifts.apply

    def apply(*arguments: Any, severity: float, **options: Any) -> Any:
        return original(*arguments, severity=change(severity), **options)

    put(drifts, "apply", apply)


def no_drift() -> None:
    """The generator does not drift, though the truth says that it does."""
    _severity(lambda _severity: 0.0)


def half_drift() -> None:
    """The generator drifts half as much as the truth says."""
    _severity(lambda severity: severity / 2)


def _labels(change: Callable[[LabelledRow, list[Any]], Any]) -> None:
    """Change the labels of what is sent."""
    original = traffic.phase_rows

    def rows(phase: Any, source: Any, seed: int, number: int) -> Iterator[LabelledRow]:
        classes = list(source.schema.classes)
        for features, label in original(phase, source, seed, number):
            yield features, change((features, label), classes)

    put(traffic, "phase_rows", rows)


def labels_zero() -> None:
    """Every label of the truth is the first class."""
    _labels(lambda _row, classes: classes[0])


def labels_flipped() -> None:
    """One label in ten is the next class."""
    chosen = Every(10)

    def change(row: LabelledRow, classes: list[Any]) -> Any:
        label = row[1]
        return classes[(classes.index(label) + 1) % len(classes)] if chosen() else label

    _labels(change)


def same_rows() -> None:
    """The same fifty rows are sent again and again."""
    original = traffic.phase_rows

    def rows(*arguments: Any) -> Iterator[LabelledRow]:
        return itertools.cycle(list(itertools.islice(original(*arguments), 50)))

    put(traffic, "phase_rows", rows)


def other_bodies() -> None:
    """What goes out differs from what the truth holds, in one request of ten."""
    chosen = Every(10)

    def body(original: Any, requests: Any, row: Any) -> str:
        text = str(original(requests, row))
        if not chosen():
            return text
        fields = json.loads(text)
        name = next(key for key, value in fields.items() if isinstance(value, float))
        return json.dumps({**fields, name: 0.9 * fields[name]})

    wrap(traffic.Requests, "body", body)


def bursts() -> None:
    """Requests go out once in three seconds, all at once."""

    def due(original: Any, schedule: Any, phase: Any, now: float) -> float | None:
        when = original(schedule, phase, now)
        return None if when is None else 3.0 * math.floor(when / 3.0)

    wrap(Schedule, "_due", due)


def shard_lost() -> None:
    """Each of the processes takes itself for one of one more, which there is not."""
    put(shards, "Shard", lambda number=0, count=1: Shard(number, count + 1))


def shard_twice() -> None:
    """Each of the processes takes itself for the first."""
    put(shards, "Shard", lambda number=0, count=1: Shard(0 * number, count))


def failures_as_successes() -> None:
    """Answers with 500 are written down as 200."""

    def record(original: Any, playback: Any, job: Any, sent_at: float, reply: Any) -> None:
        if reply.status == 500:  # noqa: PLR2004 - HTTP's own
            reply = replace(reply, status=200)
        original(playback, job, sent_at, reply)

    wrap(Playback, "record", record)
