"""``python -m testbed_api.scoring OUT``: what a model predicts for the reference rows.

Loads the model that ``TESTBED_API_*`` variables name, just as the service would, and writes a line
for each reference row of its artefact: the row with the model's own answer.
"""

from __future__ import annotations

if __name__ == "__main__":
    # Before all else, so that an interrupt or a full disk while modules load is one line, too.
    from importlib import import_module

    from testbed_domain.endings import run as run_guarded

    run_guarded(lambda: import_module("testbed_api.scoring").main(), "scoring")

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from testbed_domain.artefact import load_artefact
from testbed_domain.encoding import decode, encode
from testbed_domain.errors import DomainError
from testbed_domain.shallow import shallow_dict

from testbed_api.serving.runtimes import runtime_maker
from testbed_api.settings import ApiSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed_domain.artefact import Artefact, ReferenceRow

    from testbed_api.serving.runtime import ModelRuntime

BATCH: Final = 256


def scored(artefact: Artefact, runtime: ModelRuntime) -> Iterator[ReferenceRow]:
    """The reference rows of an artefact with the answers of a loaded model.

    Raises:
        ModelError: it answers with what is no prediction.
    """
    every = list(artefact.reference())
    for begin in range(0, len(every), BATCH):
        rows = every[begin : begin + BATCH]
        outputs = runtime.predict(encode(artefact.schema, [row.features for row in rows]))
        for row, answer in zip(rows, decode(artefact.schema, outputs), strict=True):
            yield replace(
                row,
                prediction=answer.text,
                probability=answer.probability or 0.0,
                probabilities=answer.probabilities,
            )


def main() -> int:
    """Score; returns the exit code: 2 where the model can't be loaded or asked."""
    parser = argparse.ArgumentParser(
        prog="python -m testbed_api.scoring",
        description="Write the reference rows as the model of TESTBED_API_* predicts them.",
    )
    parser.add_argument("out", type=Path, help="file to write, one JSON object a line")
    out: Path = parser.parse_args().out
    try:
        settings = ApiSettings.load()
        artefact = load_artefact(settings.artefact)
        runtime = runtime_maker(settings)(artefact)
        runtime.load()
        with out.open("w", encoding="utf-8") as file:
            for row in scored(artefact, runtime):
                file.write(f"{json.dumps(shallow_dict(row), allow_nan=False)}\n")
    except DomainError as error:
        sys.stderr.write(f"error: {' '.join(str(error).split())}\n")
        return 2
    except SystemExit as ended:
        sys.stderr.write(f"error: the model ended its process (SystemExit: {ended.code})\n")
        return 2
    except Exception as error:  # noqa: BLE001 - the model is the user's own code
        said = " ".join(str(error).split())
        sys.stderr.write(f"error: the model raised {type(error).__name__}: {said}\n")
        return 2
    return 0
