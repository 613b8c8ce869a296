"""A prediction log that outlives the failure of its database: rows wait in a spool meanwhile.

Where a write fails, its rows go to the spool, and so do all later ones. A thread of its own opens
the database again and again; when it has taken the first rows from the spool, new rows go to it
again, and the thread writes the rest. An id is stored once however often it comes, so a write
whose end nobody saw does no harm.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Final

from testbed_domain.logengine import LogReplacedError
from testbed_otel.names import OUTCOME

from testbed_api.log.sink import LogBusyError
from testbed_api.log.spool import DAMAGED_SUFFIX, SpoolError
from testbed_api.notices import Notices

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from testbed_domain.logstore import PredictionRow

    from testbed_api.log.labels import LabelOutcome
    from testbed_api.log.sink import Label, LogSink, RowOutcome
    from testbed_api.log.spool import Segment, Spool
    from testbed_api.telemetry.instruments import Instruments

logger = logging.getLogger(__name__)

RETRY_SECONDS: Final = 1.0
REPLAY_GROUP: Final = 1_000


def replaced_notice(error: LogReplacedError) -> str:
    """What stays to be said when a log that was replaced is open again."""
    return f"earlier predictions may be missing in the log: {error}"


class SpoolingLog:
    """A sink over a database that may fail.

    Its thread runs from the first :meth:`open` to :meth:`close`.

    Args:
        open_log: opens the database's log; must give up within seconds.
        spool: where rows wait.
        instruments: count rows that were dropped or written late.
        retry: seconds between two tries to reach the database.
    """

    def __init__(
        self,
        open_log: Callable[[], LogSink],
        spool: Spool,
        instruments: Instruments,
        retry: float = RETRY_SECONDS,
    ) -> None:
        self._reasons: dict[str, str] = {}
        # What stays true when the database is back.
        self._lasting = Notices()
        self._dropped = 0
        self._open_log = open_log
        self._spool = spool
        self._instruments = instruments
        self._retry = retry
        self._lock = threading.Lock()
        self._log: LogSink | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def warning(self) -> str | None:
        """What is wrong, or was lost since the start, though predictions go on; or None."""
        return "; ".join([*self._reasons.values(), *self._lasting.texts]) or None

    def open(self) -> SpoolingLog:
        """Try the database once, then never fail: rows go to the spool where it doesn't answer."""
        try:
            self._use(self._open_log())
        except Exception as error:  # noqa: BLE001 - the database's own; tried again by the thread
            self._fail(error)
        self._instruments.log_spooled.set(self._spool.rows)
        self._look_at_spool()
        self._closing.clear()
        self._thread = threading.Thread(target=self._recover, name="log-spool", daemon=True)
        self._thread.start()
        return self

    def append(self, rows: Sequence[PredictionRow], *, missing: bool = False) -> RowOutcome:
        """Make rows durable in the database, or else in the spool; or say that they are lost."""
        log = self._log
        if log is not None:
            try:
                log.append(rows, missing=missing)
            except Exception as error:  # noqa: BLE001 - whatever it is, the rows need a place
                self._fail(error)
            else:
                return "written"
        try:
            self._spool.append(rows)
        except SpoolError as error:
            self._warn("loss", f"{error}: predictions are answered, but NOT recorded")
            self._dropped += len(rows)
            lost = f"{self._dropped} predictions since the start were answered, but NOT recorded"
            self._lasting.put("dropped", lost, log=False)  # each row changes it
            return "dropped"
        self._instruments.log_spooled.set(self._spool.rows)
        return "spooled"

    def append_labels(self, items: Sequence[Label]) -> list[LabelOutcome]:
        """Store labels.

        Raises:
            LogBusyError: the database doesn't answer, or a prediction may still be in a spool,
                and would be called unknown.
        """
        log = self._log
        if log is None or self._spool.waits():
            raise LogBusyError
        try:
            return log.append_labels(items)
        except Exception as error:
            self._fail(error)
            raise LogBusyError from error

    def check(self) -> None:
        """Notice a log whose file was replaced; never fails."""
        log = self._log
        if log is not None:
            try:
                log.check()
            except Exception as error:  # noqa: BLE001 - whatever it is, the thread opens it anew
                self._fail(error)

    def close(self) -> None:
        """End the thread and let go of database and spool; rows that wait stay on disk."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        self._drop_log()
        self._spool.close()

    def _recover(self) -> None:
        """Until closed: bring the database back, and empty the spool into it."""
        while not self._closing.is_set():
            log = self._log
            if log is None or self._spool.waits():
                try:
                    self._replay(log if log is not None else self._open_log())
                except Exception as error:  # noqa: BLE001 - the database's own; tried again
                    self._fail(error)
            self._look_at_spool()
            self._closing.wait(self._retry)

    def _replay(self, log: LogSink) -> None:
        try:
            while segments := self._spool.take():
                for segment in segments:
                    self._replay_segment(log, segment)
                    if self._closing.is_set():
                        return
        except SpoolError as error:  # the database does its part; the segment stays
            self._lasting.put("spool", str(error))
        except BaseException:
            if log is not self._log:
                log.close()
            raise
        self._use(log)

    def _replay_segment(self, log: LogSink, segment: Segment) -> None:
        late = 0
        for group in segment.read(REPLAY_GROUP):
            log.append(group, missing=True)
            late += len(group)
            # One group went through: it takes new rows as well.
            self._use(log)
            if self._closing.is_set():
                return  # what is written twice then is stored once
        damaged = segment.set_aside()
        self._spool.done(segment)
        self._instruments.log_rows.add(late, {OUTCOME: "written"})
        self._instruments.log_rows.add(damaged, {OUTCOME: "damaged"})
        self._lasting.put("spool", None)
        self._instruments.log_spooled.set(self._spool.rows)
        logger.info("%d rows went from the spool to the prediction log", late)

    def _look_at_spool(self) -> None:
        """Warn of what lies in its folder and can't go to the log, for as long as it does."""
        texts = self._spool.problems
        if lines := self._spool.damaged_lines():
            texts.append(
                f"{lines} damaged lines of the spool are NOT in the log: look at *{DAMAGED_SUFFIX} "
                "in its folder, then take these files away"
            )
        self._lasting.put("damaged", "; ".join(texts) or None)

    def _use(self, log: LogSink) -> None:
        with self._lock:
            self._log = log
        if self._reasons:
            logger.warning("the prediction log is back")
        self._reasons = {}
        self._instruments.set_log_state("writing")

    def _fail(self, error: Exception) -> None:
        self._drop_log()
        if isinstance(error, LogReplacedError):
            self._lasting.put("replaced", replaced_notice(error))
        self._warn("failure", f"the prediction log fails, rows wait in the spool: {error}")

    def _drop_log(self) -> None:
        with self._lock:
            log, self._log = self._log, None
        if log is not None:
            with contextlib.suppress(Exception):  # it has failed already
                log.close()

    def _warn(self, kind: str, reason: str) -> None:
        if self._reasons.get(kind) != reason:
            logger.error("%s", reason)
        self._reasons = {**self._reasons, kind: reason}
        self._instruments.set_log_state("spooling")
