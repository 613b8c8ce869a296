"""Writes the published JSON Schemas: ``python -m testbed.schemas [--check]``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from testbed_domain.files import write_atomic
from testbed_drift.evaluation.recordschema import DriftReport, RunRecord

from testbed.comparison import RunComparison
from testbed.errors import EXIT_PASS, EXIT_VERDICT_FAILED
from testbed.scenario import Scenario
from testbed.verdict import Verdict

if TYPE_CHECKING:
    from pydantic import BaseModel

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

# Scenarios are read, so their schema says what may be written; verdicts are written.
SCHEMAS: Final[dict[str, tuple[type[BaseModel], Literal["validation", "serialization"]]]] = {
    "scenario.schema.json": (Scenario, "validation"),
    "verdict.schema.json": (Verdict, "serialization"),
    "comparison.schema.json": (RunComparison, "serialization"),
    # What is optional in these may be absent.
    "drift-run.schema.json": (RunRecord, "validation"),
    "drift-report.schema.json": (DriftReport, "validation"),
}


def schema_text(name: str) -> str:
    """Content of one schema file."""
    model, mode = SCHEMAS[name]
    schema = {"$schema": DIALECT, **model.model_json_schema(mode=mode)}
    return json.dumps(schema, indent=2) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or say which differ; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m testbed.schemas", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder of the schemas")
    options = parser.parse_args(arguments)
    stale = [name for name in SCHEMAS if _read(options.out / name) != schema_text(name)]
    if options.check:
        for name in stale:
            sys.stderr.write(f"{name} is not up to date; run: make generate\n")
        return EXIT_VERDICT_FAILED if stale else EXIT_PASS
    for name in stale:
        write_atomic(options.out / name, schema_text(name))
    return EXIT_PASS


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


if __name__ == "__main__":
    sys.exit(main())
