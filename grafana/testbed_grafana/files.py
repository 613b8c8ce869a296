"""The generated files: what they hold, and whether those on disk still do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from testbed_grafana.boards import BOARDS

if TYPE_CHECKING:
    from grafana_foundation_sdk.models.dashboard import Dashboard

FOLDER: Final = Path(__file__).resolve().parents[1] / "dashboards"


def encode(board: Dashboard) -> str:
    """The dashboard as JSON, the same text at every call."""
    return json.dumps(board, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def documents() -> dict[str, Any]:
    """File name to what the JSON of every dashboard holds; quick, for nobody reads it."""
    return {
        f"{uid}.json": json.loads(json.dumps(build(), cls=JSONEncoder))
        for uid, build in BOARDS.items()
    }


def render() -> dict[str, str]:
    """File name to content of every dashboard."""
    return {f"{uid}.json": encode(build()) for uid, build in BOARDS.items()}


def stale(folder: Path) -> list[str]:
    """Names of the files in ``folder`` that are missing or differ from :func:`render`."""
    return [name for name, content in render().items() if _read(folder / name) != content]


def write(folder: Path) -> list[Path]:
    """Write all files into ``folder`` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in render().items():
        path = folder / name
        path.write_text(content, encoding="utf-8")
        paths.append(path)
    return paths


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
