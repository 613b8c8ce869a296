"""Report files: two per comparison, named after its windows, one line per run, last values."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from testbed_domain.errors import DomainError
from testbed_domain.files import naming, read_regular, write_atomic
from testbed_domain.linefile import append_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

RUNS_FILE: Final = "runs.jsonl"
RETRAINING_FILE: Final = "retraining.jsonl"
RETRAINING_STATE_FILE: Final = "retraining.json"
STATE_FILE: Final = "published.json"
# Names of files that are being written.
HALVES: Final = (".drift_*", f".{STATE_FILE}.*", f".{RUNS_FILE}.*", ".retraining.*")


class DamagedStateError(DomainError):
    """What the job keeps between its runs can't be read."""


class ReportStore:
    """The output directory. A file under its final name is always whole.

    Args:
        directory: where the files go; made when the first one is written.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def write_json(self, reference: str, current: str, content: dict[str, Any]) -> Path:
        """Write ``drift_<reference>_vs_<current>.json`` and return its path.

        Raises:
            ValueError: the content holds NaN or an infinity, which JSON lacks.
        """
        text = json.dumps(content, indent=1, allow_nan=False)
        return self._write(report_name(reference, current, "json"), text + "\n")

    def write_html(self, reference: str, current: str, content: str) -> Path:
        """Write ``drift_<reference>_vs_<current>.html`` and return its path."""
        return self._write(report_name(reference, current, "html"), content)

    def write_state(self, content: dict[str, Any]) -> None:
        """Keep what was published last, in ``published.json``, for the next process."""
        self._write(STATE_FILE, json.dumps(content, allow_nan=False) + "\n")

    def read_state(self) -> dict[str, Any]:
        """What was published last; empty where there is none, or nothing that can be read."""
        return self._read(STATE_FILE)

    def write_retraining(self, content: dict[str, Any]) -> None:
        """Keep the last training, in ``retraining.json``, which may still run."""
        self._write(RETRAINING_STATE_FILE, json.dumps(content, allow_nan=False) + "\n")

    def read_retraining(self) -> dict[str, Any]:
        """The last training; empty as :meth:`read_state` is."""
        return self._read(RETRAINING_STATE_FILE)

    def _read(self, name: str) -> dict[str, Any]:
        try:
            found = json.loads(read_regular(self._directory / name))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def recover(self) -> None:
        """Mend what a killed job left: half files, half a line, a line that was still to come.

        Only for who has the directory to itself, see :mod:`testbed_drift.storage.claim`.

        Raises:
            DamagedStateError: the state is there and can't be read. It is written whole or not at
                all, so a disk or somebody else has damaged it; and the next run would replace it.
        """
        for name in (STATE_FILE, RETRAINING_STATE_FILE):
            self._require_whole(self._directory / name)
        for pattern in HALVES:
            for half in self._directory.glob(pattern):
                half.unlink(missing_ok=True)
        path = self._directory / RUNS_FILE
        content = read_regular(path) if path.exists() else b""
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)
        record = self.read_state().get("record")
        if record and content[:whole].splitlines()[-1:] != [_line(record).rstrip()]:
            self.append_run(record)

    def _require_whole(self, path: Path) -> None:
        try:
            reason = "" if isinstance(json.loads(read_regular(path)), dict) else "not an object"
        except FileNotFoundError:
            return
        except OSError as error:
            reason = error.strerror or type(error).__name__
        except (ValueError, RecursionError) as error:
            reason = str(error)
        if reason:
            raise DamagedStateError(
                f"{path} can't be read ({reason}): put back a whole copy, or move it away to begin "
                "without what the job remembers"
            )

    def append_run(self, record: dict[str, Any]) -> None:
        """Append one line to ``runs.jsonl``, in one write, so that no reader sees half a line."""
        self._append(RUNS_FILE, record)

    def append_retraining(self, record: dict[str, Any]) -> None:
        """Append one line to ``retraining.jsonl``, likewise."""
        self._append(RETRAINING_FILE, record)

    def replace_lines(self, name: str, lines: Iterable[bytes]) -> None:
        """Write a file of lines anew, whole or not at all."""
        self._write(name, b"".join(lines).decode())

    def _append(self, name: str, record: dict[str, Any]) -> None:
        path = self._directory / name
        with naming(path):
            append_json(path, record, sync=True)

    def _write(self, name: str, content: str) -> Path:
        """Write beside the final name and move there, so that a killed job leaves no half file."""
        path = self._directory / name
        write_atomic(path, content)
        return path


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def report_name(reference: str, current: str, suffix: str) -> str:
    """File name of a report: ``drift_2024-01-31_vs_2024-02-29.html``."""
    return f"drift_{reference}_vs_{current}.{suffix}"
