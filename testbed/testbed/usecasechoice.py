"""Which use case a run plays, and the model that it trains for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from testbed_domain.artefact import Artefact
from testbed_domain.features import FeatureSchema
from testbed_domain.tables.reading import ReadOptions
from testbed_domain.use_cases import ANY, UseCase, get_use_case
from testbed_load.drifts import get_drift
from testbed_load.errors import LoadError
from testbed_load.fitting import require_templates

from testbed.errors import UsageError
from testbed.modelcache import key_of, remember, trained_before
from testbed.owndata import OwnData
from testbed.scenario import Scenario
from testbed.settings import Settings

if TYPE_CHECKING:
    from testbed.targets import TargetModel

Say = Callable[[str], None]
"""Reports progress, one line at a time."""


def name_use_case(given: str | None, target: str | None, settings: Settings, default: str) -> str:
    """The use case that was named; else ``any`` where a target was, else that of the settings."""
    return given or (ANY if target is not None else settings.use_case) or default


def choose_use_case(name: str, given: OwnData, say: Say) -> UseCase:
    """The use case called ``name``; ``any`` is inferred from the data.

    Args:
        name: as in ``--use-case``.
        given: the user's own table.
        say: is notified of what is learnt and which columns are left out.

    Raises:
        UsageError: table and target don't fit the use case.
        DomainError: the use case is unknown, or nothing can be inferred.
    """
    if given.reading != ReadOptions() and given.data is None:
        raise UsageError("--sep, --decimal, --encoding and --as are of a table: give --data FILE")
    if name != ANY:
        if given.reading.kinds:
            raise UsageError(
                f"--as belongs to --use-case {ANY}; {name} knows the kinds of its columns"
            )
        for option, value in (("target", given.target), ("task", given.task)):
            if value is not None:
                raise UsageError(
                    f"--{option} belongs to --use-case {ANY}; {name} knows its own {option}"
                )
        return get_use_case(name)
    if given.data is None or given.target is None:
        raise UsageError(f"--use-case {ANY} needs a table, --data FILE, and --target COLUMN")
    # Imported late, as in train_model.
    from testbed_domain.inference import infer_use_case  # noqa: PLC0415

    use_case, lines = infer_use_case(given.data, given.target, given.task, given.reading)
    for line in lines:
        say(f"data: {line}")
    return use_case


def train_model(
    settings: Settings,
    use_case: str,
    given: OwnData,
    say: Say,
    out: Path | None = None,
    *,
    skops: bool = False,
    again: bool = False,
) -> Artefact:
    """Train the model of a use case, or take the one that the same data and seed made before.

    Args:
        settings: give the seed and the folder of models.
        use_case: its name.
        given: the user's own table.
        say: is notified of what goes on.
        out: folder of this very model, in place of one below the folder of models.
        skops: whether to keep the scikit-learn model beside its ONNX export.
        again: whether to train even so.
    """
    data = given.data
    case = choose_use_case(use_case, given, say)
    key = None
    if out is None and not skops:
        key = key_of(case, data, settings.model_seed, given.reading)
    if not again and (known := trained_before(key, settings.models)):
        say(f"model: {known.name} {known.version}, as it was trained before")
        return known
    # Imported late: scikit-learn and pandas take seconds that other commands need not pay.
    from testbed_domain.training import TrainingOptions, train, train_into  # noqa: PLC0415

    say(f"model: training {use_case} on {data.name if data else 'its own data'}")
    options = TrainingOptions(skops=skops, reading=given.reading)
    if out is None:
        artefact = train_into(settings.models, case, data, settings.model_seed, options)
        remember(key, artefact)
        return artefact
    return train(case, data, settings.model_seed, out, options)


def require_columns(scenario: Scenario, name: str) -> None:
    """Refuse a scenario that its use case doesn't suit, without a model of it.

    Of ``any``, whose columns are those of a file, the names of drifts are looked at only.

    Raises:
        DomainError: there is no such use case or drift, or it lacks a column; says what.
    """
    schema = None if name == ANY else get_use_case(name).schema
    if schema is not None:
        _require_schema(scenario, name, schema)
    wrong: list[str] = []
    for phase in scenario.phases:
        if phase.drift is not None:
            try:
                get_drift(phase.drift.name, schema, phase.drift.column)
            except LoadError as error:
                wrong.append(f"phase {phase.name}: {error}")
    if wrong:
        raise UsageError("\n".join(wrong))


def _require_schema(scenario: Scenario, name: str, schema: FeatureSchema) -> None:
    hint = (
        f"play it with {scenario.use_case}"
        if scenario.use_case != name
        else "correct it, or its use_case, which is any for a table of your own"
    )
    if lacking := [each for each in scenario.columns if each not in schema.names]:
        raise UsageError(
            f"the scenario {scenario.name} is about {', '.join(lacking)}, which the use case "
            f"{name} lacks: {hint}"
        )
    if scenario.task is not None and scenario.task != schema.task:
        raise UsageError(
            f"the scenario {scenario.name} needs a {scenario.task}, and the use case "
            f"{name} is a {schema.task}: {hint}"
        )


def require_fit(scenario: Scenario, artefact: Artefact, target: TargetModel | None = None) -> None:
    """Refuse a scenario that is about columns which the model lacks, or about smaller noise.

    Args:
        scenario: what is to be played.
        artefact: gives the rows.
        target: is asked about them; None: the bundled API.

    Raises:
        UsageError: it is, or the service answers no such rows; says what is missing.
        LoadError: the service is asked about a column that there isn't.
    """
    _require_schema(scenario, artefact.use_case, artefact.schema)
    if target is not None:
        target.require_use_case(artefact.use_case)
        if (exchange := target.exchange()) is not None:
            require_templates(exchange, artefact.schema)
    rows = artefact.splits["reference"]
    if rows < scenario.reference_rows:
        raise UsageError(
            f"the scenario {scenario.name} needs {scenario.reference_rows} reference rows for its "
            f"doses, this model has {rows}: play it with a use case or a table that has more"
        )
