"""Which rows of the log are a run's turn: by time or by number, sliding or one after another."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from testbed_domain.errors import DomainError
from testbed_domain.files import read_regular, write_atomic
from testbed_domain.logreading import Selection

from testbed_drift.rows.spans import Period
from testbed_drift.rows.windows import LogReader, NotEnoughRowsError, Window, WindowReader

if TYPE_CHECKING:
    from testbed_domain.logreading import Place
    from testbed_domain.logrows import Columns

    from testbed_drift.settings import DriftSettings

SCHEMA_VERSION: Final = 1
FILE: Final = "position.json"


class WindowSchedulerError(DomainError):
    """The log can't give the windows that are wanted."""


@runtime_checkable
class PlacedLog(Protocol):
    """What windows by number need of the log."""

    def read(self, selection: Selection) -> Columns:
        """The chosen rows, oldest first."""

    def place(self, selection: Selection, number: int) -> Place | None:
        """Place of the ``number``-th of the chosen rows; None where they are fewer."""

    def size(self, selection: Selection) -> int:
        """Number of the chosen rows."""


@dataclass(frozen=True, slots=True)
class PositionFile:
    """Keeps how far the windows have come, from process to process; whole or not at all.

    Attributes:
        path: the file.
        model_version: whose windows; a position of another version's is none.
    """

    path: Path
    model_version: str

    def read(self) -> dict[str, Any]:
        """What was kept; empty where there is nothing, or nothing that can be read."""
        try:
            found = json.loads(read_regular(self.path))
            known = found["schema_version"], found["model_version"]
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return found if known == (SCHEMA_VERSION, self.model_version) else {}

    def write(self, **position: Any) -> None:  # noqa: ANN401 - JSON
        """Keep a position."""
        about = {"schema_version": SCHEMA_VERSION, "model_version": self.model_version}
        write_atomic(self.path, json.dumps(about | position), mode=0o600)


@dataclass(slots=True)
class WindowScheduler:
    """The current window of each run.

    Sliding windows end now and overlap. Tumbling ones follow each other, and each row is evaluated
    once: by number, from the row after the last window's last one; by time, from multiples of the
    length since 1970. The first one is the newest that is full. A row that reaches the log after a
    later one was evaluated is in no window.

    Windows with an ``every`` end at whole multiples of it, counted from the first row after the
    job's start, whenever they are read: the same rows are evaluated whatever the machine's speed.
    The first ones hold all rows so far.

    Attributes:
        seconds: length of windows by time.
        rows: length of windows by number, or None for windows by time.
        tumbling: whether they follow each other.
        every: rows from the end of one window to that of the next, or None for windows that end
            where the log does.
        lag: seconds that a row must be old to be in a window with an ``every``.
        position: keeps how far tumbling windows have come.
        behind: whether another tumbling window was full already when the last one was read.
    """

    seconds: float
    rows: int | None
    tumbling: bool
    position: PositionFile
    every: int | None = None
    lag: float = 0.0
    behind: bool = field(default=False, init=False)
    _begun: dict[str, Any] | None = field(default=None, init=False)
    _last: dict[str, Any] | None = field(default=None, init=False)

    @classmethod
    def of(cls, settings: DriftSettings, model_version: str) -> WindowScheduler:
        """The turns that the settings ask for."""
        position = PositionFile(settings.output / FILE, model_version)
        tumbling = settings.window_mode == "tumbling"
        every, lag = settings.window_every, settings.window_lag
        return cls(settings.window, settings.window_rows, tumbling, position, every, lag)

    def full(self, log: LogReader, reader: WindowReader, now: float) -> bool:
        """Whether a window with an ``every`` waits to be evaluated."""
        if self.every is None or not isinstance(log, PlacedLog):
            return False
        number, chosen = self._stepped(reader, now, self.every)
        return log.place(chosen, number * self.every) is not None

    def next(self, log: LogReader, reader: WindowReader, now: float) -> Window:
        """The window of this turn.

        Raises:
            NotEnoughRowsError: it is not full yet, or has too few rows to evaluate.
            WindowSchedulerError: the log knows no places, or windows of so many rows are never
            evaluated.
        """
        self.behind, self._begun = False, None
        if self.rows is None:
            span = Period.between(now - self.seconds, now)
            if self.tumbling:
                span = self._span(log, reader.model_version, now)
            return reader.of_log(log, span)
        if self.rows < reader.min_rows:
            raise WindowSchedulerError(
                f"TESTBED_DRIFT_WINDOW_ROWS {self.rows} are too few, {reader.min_rows} needed "
                f"{reader.purpose}".rstrip()
            )
        if not isinstance(log, PlacedLog):
            raise WindowSchedulerError("this log can't count rows: unset TESTBED_DRIFT_WINDOW_ROWS")
        if self.every is not None:
            return self._by_steps(log, reader, now, self.rows, self.every)
        return self._by_number(log, reader, now, self.rows)

    def done(self) -> None:
        """The run of this turn has been recorded: go on behind its window.

        Raises:
            OSError: that can't be kept.
        """
        if self._begun is not None:
            self._last, self._begun = self._begun, None
            self.position.write(**self._last)

    def _span(self, log: LogReader, version: str, now: float) -> Period:
        """The next full window; where it and others after it are empty, the next with rows."""
        length = self.seconds
        latest = math.floor(now / length) * length
        until = float(self._known().get("until", latest - length))
        # After another length was set, or a clock put back, the newest window is next.
        start = min(until, latest)
        if start + length < latest and isinstance(log, PlacedLog):
            found = log.place(Selection(version, start, latest), 1)
            start = max(start, math.floor(found[0] / length) * length if found else latest - length)
        span = Period.between(start, start + length)
        if span.end > now:
            raise NotEnoughRowsError(f"the window {span.name} is still open")
        self.behind, self._begun = span.end + length <= now, {"until": span.end}
        return span

    def _by_number(self, log: PlacedLog, reader: WindowReader, now: float, rows: int) -> Window:
        version, upto = reader.model_version, None
        chosen = Selection(version, end=now, after=self._after() if self.tumbling else None)
        have = log.size(replace(chosen, limit=rows))
        if have < rows:
            since = " since the last window" if chosen.after else ""
            raise NotEnoughRowsError(f"{have} of {rows} rows of model {version}{since}")
        if self.tumbling:
            # Of the first window the last row is that of the log.
            number = rows if chosen.after else log.size(chosen)
            upto = log.place(chosen, number)
            self.behind = log.place(replace(chosen, after=upto), rows) is not None
            self._begun = {"after": upto}
        return _placed(log, reader, replace(chosen, limit=rows, upto=upto), upto)

    def _stepped(self, reader: WindowReader, now: float, every: int) -> tuple[int, Selection]:
        """Number of the next window, counted from 1, and the rows that are old enough for it."""
        known = self._known()
        if "since" not in known:
            known = self._last = {"since": now, "windows": math.ceil(reader.min_rows / every) - 1}
            self.position.write(**known)
        chosen = Selection(reader.model_version, float(known["since"]), now - self.lag)
        return int(known["windows"]) + 1, chosen

    def _by_steps(
        self, log: PlacedLog, reader: WindowReader, now: float, rows: int, every: int
    ) -> Window:
        number, chosen = self._stepped(reader, now, every)
        upto = log.place(chosen, number * every)
        if upto is None:
            have = log.size(chosen)
            raise NotEnoughRowsError(
                f"{have} of {number * every} rows of model {reader.model_version} up to the end of "
                f"window {number}"
            )
        self.behind = log.place(chosen, (number + 1) * every) is not None
        self._begun = {"since": chosen.start, "windows": number}
        return _placed(log, reader, replace(chosen, limit=rows, upto=upto), upto)

    def _known(self) -> dict[str, Any]:
        """How far the windows have come, here or in an earlier process."""
        return self.position.read() if self._last is None else self._last

    def _after(self) -> Place | None:
        try:
            time, key = self._known()["after"]
            return float(time), str(key)
        except (KeyError, TypeError, ValueError):
            return None


def _placed(log: PlacedLog, reader: WindowReader, chosen: Selection, upto: Place | None) -> Window:
    """The chosen rows as a window."""
    columns = log.read(chosen)
    span = Period.between(columns.time[0], math.nextafter(columns.time[-1], math.inf))
    # Many rows may share a second, and then two windows their times.
    end = "-" + re.sub(r"[^A-Za-z0-9]+", "", upto[1])[-12:] if upto else ""
    return reader.of_columns(columns, span.name + end, span)
