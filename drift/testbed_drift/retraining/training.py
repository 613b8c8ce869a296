"""Training again on what the log has learnt since, and another champion where that is better.

``python -m testbed_drift retrain``: the drift job starts it on RETRAIN, as a process of its own, so
that neither its memory nor its end are the job's.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from testbed_domain.artefact import Artefact, load_artefact
from testbed_domain.encoding import encode
from testbed_domain.errors import DomainError
from testbed_domain.featuretable import entities
from testbed_domain.logstore import open_log
from testbed_domain.onnxsession import OnnxSession
from testbed_domain.training import TrainingData, train_again

from testbed_drift.quality.numbers import floats
from testbed_drift.quality.outcomes import Outcomes
from testbed_drift.quality.trial import Retraining, Trial, compare, compare_numbers
from testbed_drift.retraining.management import Management
from testbed_drift.rows.frames import kinds_of, reference_frame
from testbed_drift.scoring.calibration import FILE, Calibration, CalibrationError, calibrate
from testbed_drift.scoring.scores import DriftRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from testbed_domain.features import Label, Row
    from testbed_domain.logstore import Columns

    from testbed_drift.settings import DriftSettings

SAMPLING: Final = (
    "labelled rows of the prediction log, oldest first: the first ones train, the newest ones are "
    "test and reference"
)


# Different labels that a regression can be trained on, and evaluated by.
MIN_NUMBERS: Final = 2


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows of the log whose label the model may predict, oldest first.

    Attributes:
        rows: their features.
        labels: the true classes, or numbers.
        outcomes: what the model answered: of a regression the numbers, float64 ``[rows]``.
    """

    rows: list[Row]
    labels: list[Label]
    outcomes: Outcomes | np.ndarray[Any, Any]

    @classmethod
    def of(cls, columns: Columns, champion: Artefact, limit: int) -> LabelledRows:
        """The newest ``limit`` such rows."""
        schema = champion.schema
        outcomes: Outcomes | np.ndarray[Any, Any]
        labels: list[Label | None]
        if schema.regression:
            outcomes = floats(columns.prediction)
            both = zip(floats(columns.label).tolist(), outcomes.tolist(), strict=True)
            labels = [
                label if math.isfinite(label + reported) else None for label, reported in both
            ]
        else:
            outcomes = Outcomes.of(columns, schema.classes, schema.positive_class)
            known = {str(name): name for name in schema.classes}
            labels = [None if text is None else known.get(text) for text in columns.label]
        chosen = [place for place, label in enumerate(labels) if label is not None][-limit:]
        features = [feature.name for feature in schema.features]
        rows: list[Row] = [
            {name: columns.features[name][place] for name in features} for place in chosen
        ]
        picked = [label for place in chosen if (label := labels[place]) is not None]
        places = np.array(chosen, dtype=int)
        reported = outcomes.where(places) if isinstance(outcomes, Outcomes) else outcomes[places]
        return cls(rows, picked, reported)

    def __len__(self) -> int:
        return len(self.rows)


class RetrainingFailedError(DomainError):
    """There is no new model, and not for want of rows. One line that says why."""


def retrain(settings: DriftSettings, *, seed: int = 0) -> Retraining:
    """Train a challenger, compare it with the champion, and promote it where it is better.

    Args:
        settings: of the drift job; the artefact is the champion's.
        seed: of the forest.
    """
    started = time.time()
    champion = load_artefact(settings.artefact)
    found = Retraining("failed", "", champion.version, started)
    try:
        found = _attempt(settings, champion, found, seed)
    except (DomainError, OSError) as error:
        found = replace(found, message=" ".join(str(error).split()))
    return replace(found, seconds=max(0.0, time.time() - started))


def _attempt(
    settings: DriftSettings, champion: Artefact, found: Retraining, seed: int
) -> Retraining:
    rows = _recent(settings, champion, found.started)
    held = round(len(rows) * settings.retrain_holdout)
    if len(rows) < settings.retrain_min_rows:
        return replace(
            found,
            outcome="too_few_rows",
            message=f"{len(rows)} labelled rows of model {champion.version} in the last "
            f"{settings.retrain_window or settings.window:g} s, {settings.retrain_min_rows} needed",
        )
    newest = slice(len(rows) - held, None)
    minimum, lacking = len(champion.schema.classes), "labelled rows lack a class"
    if champion.schema.regression:
        minimum, lacking = MIN_NUMBERS, "labels hold one value only"
    for part in (slice(0, len(rows) - held), newest):
        if len(set(rows.labels[part])) < minimum:
            message = f"the {lacking}, in training or hold-out: wait for more"
            return replace(found, outcome="too_few_rows", message=message)
    challenger = _train(settings, champion, rows, held, seed)
    trial = _try(champion, challenger, rows, newest)
    management = Management(settings.management, settings.management_token_file)
    found = replace(found, challenger=challenger.version, trial=trial)
    if challenger.version == champion.version:
        return replace(found, outcome="kept", message="the same model came out again")
    management.challenge(challenger.path)
    if not trial.better:
        management.withdraw()
        return replace(found, outcome="kept", message=f"not better: {trial.words}")
    try:
        management.promote()
    except DomainError:
        management.withdraw()
        raise
    return replace(found, outcome="promoted", message=f"better: {trial.words}")


def _recent(settings: DriftSettings, champion: Artefact, now: float) -> LabelledRows:
    start = now - (settings.retrain_window or settings.window)
    with open_log(settings.log_url, create=False) as log:
        columns = log.window(champion.version, start, now)
    return LabelledRows.of(columns, champion, settings.retrain_rows)


def _train(
    settings: DriftSettings, champion: Artefact, rows: LabelledRows, held: int, seed: int
) -> Artefact:
    first, newest = slice(0, len(rows) - held), slice(len(rows) - held, None)
    holdout = rows.rows[newest], rows.labels[newest]
    splits = TrainingData(
        train=(rows.rows[first], rows.labels[first]),
        test=holdout,
        reference=holdout,
        source={"kind": "log", "name": f"labelled rows of {champion.version}"},
        synthetic=champion.synthetic,
        entities=entities(champion),
        sampling=SAMPLING,
    )
    made = train_again(settings.model_store, champion, splits, seed)
    _calibrate(champion, made)
    return made


def _calibrate(champion: Artefact, made: Artefact) -> None:
    """As the champion was calibrated, so is its successor, whose reference is another one."""
    if not (champion.path / FILE).exists() or (made.path / FILE).exists():
        return
    try:
        plan = Calibration.load(champion.path / FILE).plan
        kinds = kinds_of(made.schema)
        frame = reference_frame(made, kinds)
        found = calibrate(frame, kinds, DriftRule(), plan, made.version)
    except CalibrationError:
        return  # the job goes on with thresholds that need none
    replace(found, created=time.time()).save(made.path / FILE)


def _try(champion: Artefact, challenger: Artefact, rows: LabelledRows, newest: slice) -> Trial:
    reported = _outputs(challenger, rows.rows[newest])
    if not isinstance(rows.outcomes, Outcomes):
        truth = np.array(rows.labels[newest], dtype=float)
        return compare_numbers(truth, rows.outcomes[newest], reported[:, 0])
    held = rows.outcomes.where(np.arange(len(rows))[newest])
    classes = len(champion.schema.classes)
    answered = np.where(held.predicted < classes, held.predicted, -1)
    return compare(held.label, held.probabilities[:, :classes], reported, answered)


def _outputs(artefact: Artefact, rows: Sequence[Row]) -> np.ndarray[Any, Any]:
    """Probabilities, ``[rows, classes]``, or numbers, ``[rows, 1]``."""
    session = OnnxSession(artefact.model_file, schema=artefact.schema)
    return session.outputs(encode(artefact.schema, rows))
