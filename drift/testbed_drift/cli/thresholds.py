"""``calibrate``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testbed_drift.cli.bundles import table_options, taking
from testbed_drift.cli.ending import EXIT_NO_ACTION, ends, write
from testbed_drift.cli.surroundings import artefact_of, store_of
from testbed_drift.settings import DriftSettingsError
from testbed_drift.tables.options import READING, ROLES, TableOptions

if TYPE_CHECKING:
    from testbed_drift.scoring.calibration import Calibration, CalibrationPlan


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(ends(calibrate))


@taking(
    tables=table_options(
        *("reference", "reference_url", "reference_query"), *ROLES, *READING, "store"
    )
)
def calibrate(
    context: typer.Context,
    *,
    artefact: Annotated[Path | None, typer.Option(help="Artefact directory of the model.")] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="File of the thresholds; default: beside the artefact or reference."),
    ] = None,
    rows: Annotated[int, typer.Option(min=50, help="Rows of a window.")] = 1000,
    budget: Annotated[
        float, typer.Option(min=1e-5, max=0.5, help="False positives per window.")
    ] = 0.001,
    shift: Annotated[
        float, typer.Option(min=0.01, help="Shift that matters, in standard deviations.")
    ] = 0.5,
    draws: Annotated[int, typer.Option(min=10, help="Windows drawn without drift.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 1,
    tables: TableOptions,
) -> int:
    """Find thresholds that keep a budget of false positives, and how many rows a window needs.

    They are stored in the artefact, or beside the stored reference, and `run` and `watch` obey them
    from then on.

    Examples:

      testbed drift calibrate --artefact my-model

      testbed drift calibrate --artefact my-model --rows 500 --shift 0.25

      testbed drift calibrate --reference january --rows 500
    """
    from testbed_drift.scoring.calibration import CalibrationPlan, summary

    plan = CalibrationPlan(rows=rows, budget=budget, shift=shift, draws=draws, seed=seed)
    if tables.of_tables:
        options = replace(tables, store=store_of(context, tables.store))
        found, path = _of_table(options, plan, output)
    else:
        found, path = _of_model(artefact_of(context, artefact), plan, output)
    write(f"{summary(found)}\nWritten to {path}")
    return EXIT_NO_ACTION


def _of_model(where: Path, plan: CalibrationPlan, output: Path | None) -> tuple[Calibration, Path]:
    from testbed_domain.artefact import load_artefact

    from testbed_drift.rows.frames import kinds_of, reference_frame
    from testbed_drift.scoring.calibration import FILE, calibrate
    from testbed_drift.scoring.scores import DriftRule

    artefact = load_artefact(where)
    kinds = kinds_of(artefact.schema)
    frame = reference_frame(artefact, kinds)
    found = calibrate(frame, kinds, DriftRule(), plan, artefact.version)
    found = replace(found, created=time.time())
    path = output or artefact.path / FILE
    found.save(path)
    return found, path


def _of_table(
    options: TableOptions, plan: CalibrationPlan, output: Path | None
) -> tuple[Calibration, Path]:
    """Calibrate on a reference table; a kept one keeps the thresholds beside it."""
    from testbed_drift.scoring.calibration import calibrate
    from testbed_drift.scoring.scores import DriftRule
    from testbed_drift.tables import opening

    reference, _ = opening.opened_reference(options, opening.wanted(options), thresholds=False)
    path = output
    if path is None and options.reference and not Path(options.reference).is_file():
        path = opening.store_of(options).find(options.reference).calibration
    if path is None:
        raise DriftSettingsError(
            "say where to write the thresholds: --output FILE, and run with --calibration FILE; or "
            "keep the reference: testbed drift reference add"
        )
    found = calibrate(
        reference.rows.frame, reference.schema.kinds, DriftRule(), plan, reference.name
    )
    found.save(path)
    return found, path
