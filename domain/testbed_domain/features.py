"""Feature schemas: what a row looks like, free of pandas and of any web framework."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Final, Literal, Self

from testbed_domain.errors import DomainError

FeatureKind = Literal["integer", "number", "category"]
Task = Literal["classification", "regression"]
TASKS: Final[tuple[Task, ...]] = ("classification", "regression")
ReplySource = Literal["prediction", "probability", "positive_probability"]
Value = float | int | str | None
Row = dict[str, Value]
Label = int | str | float
"""One of a schema's ``classes``, or of a regression any number."""
# Of a feature: what may differ between versions of a model that take the same requests.
_OWN: Final = frozenset({"fill", "description", "example"})


@dataclass(frozen=True, slots=True)
class Feature:
    """One input column.

    Attributes:
        name: column name, as in the data and in requests.
        kind: ``integer`` and ``number`` are numeric, ``category`` is text.
        description: one line for the API page.
        minimum: smallest value that a request may carry, or None.
        maximum: largest value that a request may carry, or None.
        categories: known values of a category, in the order of the model's columns.
        nullable: whether the value may be missing.
        example: a plausible value.
        other: whether a category may carry other texts than the known ones; to the model they
            all are the same.
        fill: what the model is given in place of a missing number, beside the fact that it is
            missing: the median of the training rows, or None before training.
    """

    name: str
    kind: FeatureKind
    description: str
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] = ()
    nullable: bool = False
    example: Value = None
    other: bool = False
    fill: float | None = None

    @property
    def flag(self) -> bool:
        """Whether it is a truth that is stored as 0 and 1."""
        return self.kind == "integer" and (self.minimum, self.maximum) == (0, 1)


@dataclass(frozen=True, slots=True)
class EntityKey:
    """What features can be looked up by, in the feature table of the artefact.

    Attributes:
        column: name of the column with the ids in data files.
        field: name of the field with the id in requests.
        description: one line for the API page.
        example: an id.
    """

    column: str
    field: str
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class ReplyField:
    """One more field of a reply, for clients that know the answer by another name.

    Attributes:
        name: name of the field.
        source: ``prediction`` is the predicted class or number, ``probability`` a class's
            probability, ``positive_probability`` that of the positive class, whatever was
            predicted.
        description: one line for the API page.
    """

    name: str
    source: ReplySource
    description: str


@dataclass(frozen=True, slots=True)
class Kpi:
    """A business figure that grows as labels come: what decisions cost.

    Attributes:
        name: value of the metric's ``kpi`` attribute.
        description: one sentence for people, with the unit.
        costs: ``(predicted class, true class, cost)``, costs 0 or more; pairs left out cost 0.
    """

    name: str
    description: str
    costs: tuple[tuple[int | str, int | str, float], ...]


@dataclass(frozen=True)
class FeatureSchema:
    """Inputs and output of a use case.

    Attributes:
        features: input columns, in the order that the model takes them.
        target: name of the label column.
        classes: class labels in the model's order, as ints or strings (what a reply carries); none
            of a regression.
        positive_class: the class that binary metrics speak of, or None for several classes.
        key: what features can be looked up by, or None.
        reply: further fields of a reply.
        kpis: business figures, counted as labels come.
        task: whether the model predicts a class or a number.
    """

    features: tuple[Feature, ...]
    target: str
    classes: tuple[int | str, ...]
    positive_class: int | str | None = None
    key: EntityKey | None = None
    reply: tuple[ReplyField, ...] = ()
    kpis: tuple[Kpi, ...] = ()
    task: Task = "classification"

    def __post_init__(self) -> None:
        if self.regression and (self.classes or self.kpis):
            raise DomainError("a regression has neither classes nor costs of wrong ones")

    @property
    def regression(self) -> bool:
        """Whether the model predicts a number."""
        return self.task == "regression"

    @property
    def outputs(self) -> int:
        """Numbers that the model answers a row with: one per class, or the predicted one."""
        return 1 if self.regression else len(self.classes)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Feature names in model order."""
        return tuple(feature.name for feature in self.features)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form; versions are hashes of it, so a classifier's names no task, as ever."""
        found = asdict(self)
        if not self.regression:
            del found["task"]
        return found

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`."""
        features = tuple(
            Feature(**{**item, "categories": tuple(item.get("categories", ()))})
            for item in data["features"]
        )
        key = data.get("key")
        return cls(
            features,
            data["target"],
            tuple(data["classes"]),
            data.get("positive_class"),
            EntityKey(**key) if key else None,
            tuple(ReplyField(**item) for item in data.get("reply", ())),
            tuple(
                Kpi(item["name"], item["description"], tuple(map(_cost, item["costs"])))
                for item in data.get("kpis", ())
            ),
            data.get("task", "classification"),
        )


def difference(schema: FeatureSchema, other: FeatureSchema) -> str | None:
    """The first thing in which requests and replies of two schemas differ; None where in nothing.

    What training learns for the encoding (``fill``) may differ: it travels with each model. So may
    what only people read (``description``, ``example``).
    """
    mine, theirs = ({feature.name: feature for feature in one.features} for one in (schema, other))
    for name in (*theirs, *mine):
        if name not in mine:
            return f"the feature {name!r} is missing"
        if name not in theirs:
            return f"the feature {name!r} is additional"
        for field in fields(Feature):
            here, there = getattr(mine[name], field.name), getattr(theirs[name], field.name)
            if field.name not in _OWN and here != there:
                return f"{field.name} of the feature {name!r} is {here!r}, not {there!r}"
    if schema.names != other.names:
        return "the features stand in another order"
    for field in fields(FeatureSchema):
        here, there = getattr(schema, field.name), getattr(other, field.name)
        if field.name != "features" and here != there:
            return f"{field.name} is {here!r}, not {there!r}"
    return None


def mistakes(name: str, description: str, classes: tuple[int | str, ...]) -> Kpi:
    """The KPI by which every wrong decision costs the same."""
    pairs = ((reported, true, 1.0) for reported in classes for true in classes if reported != true)
    return Kpi(name, description, tuple(pairs))


def _cost(item: list[Any]) -> tuple[int | str, int | str, float]:
    predicted, true, cost = item
    return predicted, true, float(cost)
