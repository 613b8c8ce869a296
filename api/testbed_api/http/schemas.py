"""Request and reply schemas; those of requests are made from the artefact's feature schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NotRequired, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    conlist,
)
from typing_extensions import TypedDict

from testbed_api.http.rowbodies import RowReader
from testbed_api.log.labels import LabelBatch, LabelItem, LabelOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from testbed_domain.features import EntityKey, Feature, FeatureSchema, Row

# Where a schema sets no bounds: what the model's float32 input still distinguishes from infinity,
# and the integers that a JSON number carries exactly.
NUMBER_BOUND: Final = 3.4e38
INTEGER_BOUND: Final = 2**53
TEXT_LIMIT: Final = 200
# A UUID as the replies carry it; anything like it may be asked for and is then unknown.
PREDICTION_ID: Final = r"^[0-9A-Za-z-]{1,36}$"
EXAMPLE_ID: Final = "123e4567-e89b-42d3-a456-426614174000"


class PredictionReply(BaseModel):
    """Answer of ``POST /predict``."""

    prediction_id: str = Field(description="Give it back to POST /labels when the truth is known.")
    prediction: int | str = Field(description="Predicted class.")
    probability: float = Field(description="Probability of the predicted class, 0 to 1.")
    probabilities: dict[str, float] = Field(description="Every class and its probability.")
    model_version: str
    synthetic: bool = Field(description="Whether the model was trained on synthetic data.")


class NumberReply(BaseModel):
    """Answer of ``POST /predict`` where a number is predicted."""

    prediction_id: str = Field(description="Give it back to POST /labels when the truth is known.")
    prediction: float = Field(description="Predicted number.")
    model_version: str
    synthetic: bool = Field(description="Whether the model was trained on synthetic data.")


class LabelReply(BaseModel):
    """Outcome of one label."""

    prediction_id: str
    outcome: LabelOutcome


class LabelsReply(BaseModel):
    """Answer of ``POST /labels``: one outcome per label, in the order of the request."""

    labels: list[LabelReply]


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str | list[dict[str, Any]]


def row_adapter(
    schema: FeatureSchema, look_up: Callable[[str], Row] | None = None
) -> TypeAdapter[Row]:
    """Validator of one row: exactly the schema's columns, strictly of their kinds, in bounds.

    A nullable feature that is left out becomes None.

    Rows are typed dictionaries, not models: a column may have any name, ``schema`` or
    ``BMI (kg/m²)`` too.

    Args:
        schema: of the row.
        look_up: gives the row of an id; with it, the schema's key alone is as good as a row.
    """
    fields = {feature.name: _field(feature) for feature in schema.features}

    def complete(row: Row) -> Row:
        return {name: row.get(name) for name in fields}

    row: Any = _typed_dict("Features", fields)
    if any(feature.nullable for feature in schema.features):
        row = Annotated[row, AfterValidator(complete)]
    if look_up is not None and schema.key is not None:
        row = Annotated[row, BeforeValidator(_by_key(schema.key, look_up))]
    return TypeAdapter(row)


def row_reader(
    schema: FeatureSchema, look_up: Callable[[str], Row] | None, limit: int
) -> RowReader[Row]:
    """Reads rows of up to ``limit`` bytes; see :func:`row_adapter`."""
    names = [*schema.names, *([] if schema.key is None else [schema.key.field])]
    return RowReader(row_adapter(schema, look_up), names, limit)


def _by_key(key: EntityKey, look_up: Callable[[str], Row]) -> Callable[[object], object]:
    """Puts the known features in the place of a body that holds the key."""

    def resolve(body: object) -> object:
        if not isinstance(body, dict) or key.field not in body:
            return body
        identifier = body[key.field]
        if len(body) > 1:
            raise ValueError(f"give {key.field} alone, or all features without it")
        if not isinstance(identifier, str) or not 0 < len(identifier) <= TEXT_LIMIT:
            raise ValueError(f"{key.field} is a text of 1 to {TEXT_LIMIT} characters")
        return look_up(identifier)

    return resolve


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:  # noqa: ANN401 - a type made here
    make: Any = TypedDict  # its fields are known at run time only
    made = make(name, fields)
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    return made


def _field(feature: Feature) -> object:
    kind: Any = _kind(feature)
    annotation: Any = Annotated[
        kind | None if feature.nullable else kind,
        Field(
            title=feature.name,
            description=feature.description,
            examples=None if feature.example is None else [feature.example],
        ),
    ]
    return NotRequired[annotation] if feature.nullable else annotation


def _kind(feature: Feature) -> object:
    if feature.kind == "category":
        known = feature.categories and not feature.other
        text: Any = (
            _literal(feature.categories)
            if known
            else Annotated[str, Field(strict=True, max_length=TEXT_LIMIT)]
        )
        spellings = _spellings(feature)
        if not spellings:
            return text
        taken: Any = text | _literal(tuple(spellings))

        def spelt(value: object) -> object:
            return spellings.get(value, value) if isinstance(value, bool) else value

        return Annotated[text, BeforeValidator(spelt, json_schema_input_type=taken)]
    whole = feature.kind == "integer"
    bound = INTEGER_BOUND if whole else NUMBER_BOUND
    limits = Field(
        strict=True,
        allow_inf_nan=None if whole else False,
        ge=-bound if feature.minimum is None else feature.minimum,
        le=bound if feature.maximum is None else feature.maximum,
    )
    if not whole:
        return Annotated[float, limits]
    number: Any = Annotated[int, limits]
    if not feature.flag:
        return Annotated[number, BeforeValidator(_whole)]
    return Annotated[number, BeforeValidator(_flag, json_schema_input_type=number | bool)]


def _whole(value: object) -> object:
    """4.0 as 4: JSON knows one kind of number, and JSON Schema calls it an integer."""
    return int(value) if type(value) is float and value.is_integer() else value


def _flag(value: object) -> object:
    """True as 1: the form of a truth in JSON; the data has numbers."""
    return int(value) if isinstance(value, bool) else _whole(value)


def _spellings(feature: Feature) -> dict[bool, str]:
    """The texts that the data has for JSON's ``true`` and ``false``; none where it has others."""
    texts = {text.lower(): text for text in feature.categories}
    if feature.other or not texts.keys() <= {"true", "false"}:
        return {}
    return {name == "true": text for name, text in texts.items()}


def _literal(values: tuple[bool | int | str, ...]) -> Any:  # noqa: ANN401 - a type made here
    return cast("Any", Literal)[values]


def _plain(value: object) -> object:
    # True and 1.0 equal the class 1, and would be taken for it.
    if isinstance(value, bool | float):
        raise ValueError("a class is an integer or a text")  # noqa: TRY004 - pydantic's way
    return value


class LabelReader:
    """Reads the bodies of ``POST /labels``: up to ``limit`` labels in a list, or one label alone.

    Args:
        schema: knows the classes, or that labels are numbers.
        limit: most labels.
    """

    def __init__(self, schema: FeatureSchema, limit: int) -> None:
        item: TypeAdapter[LabelItem] = TypeAdapter(_label_item(schema))
        self._rows = RowReader(item, LabelItem.__annotations__, limit)
        self._limit = limit
        items = {"labels": conlist(Any, min_length=1, max_length=limit)}
        batch: Any = Annotated[_typed_dict("LabelBatch", items), BeforeValidator(_as_batch)]
        self._whole: TypeAdapter[Any] = TypeAdapter(batch)

    def read(self, text: bytes) -> Generator[None, None, LabelBatch]:
        """The labels of a body, in small steps.

        Raises:
            ApiError: 422 naming what is wrong.
        """
        found = yield from self._rows.items(text, self._whole, "labels", self._limit)
        return {"labels": found}


def _label_item(schema: FeatureSchema) -> Any:  # noqa: ANN401 - a type made here
    fields = {
        "prediction_id": Annotated[str, Field(strict=True, pattern=PREDICTION_ID)],
        "label": _true_number()
        if schema.regression
        else Annotated[_literal(schema.classes), BeforeValidator(_plain)],
    }
    return _typed_dict("Label", fields)


def _true_number() -> Any:  # noqa: ANN401 - a type made here
    return Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _as_batch(body: object) -> object:
    alone = isinstance(body, dict) and "labels" not in body
    return {"labels": [body]} if alone else body


def row_body(
    schema: FeatureSchema, adapter: TypeAdapter[Row], *, by_key: bool = False
) -> dict[str, Any]:
    """OpenAPI description of the body of ``POST /predict``.

    Args:
        schema: of the row.
        adapter: its validator.
        by_key: whether the schema's key alone is taken too.
    """
    example = {feature.name: feature.example for feature in schema.features}
    described = adapter.json_schema()
    if not by_key or schema.key is None:
        return _body(described, example)
    key = schema.key
    identifier = {
        "type": "string",
        "minLength": 1,
        "maxLength": TEXT_LIMIT,
        "description": key.description,
    }
    alone = {
        "title": "Key",
        "type": "object",
        "properties": {key.field: identifier},
        "required": [key.field],
        "additionalProperties": False,
    }
    examples = {
        f"by {key.field}": {"value": {key.field: key.example}},
        "by features": {"value": example},
    }
    content = {"schema": {"anyOf": [alone, described]}, "examples": examples}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def labels_body(schema: FeatureSchema, limit: int) -> dict[str, Any]:
    """OpenAPI description of the body of ``POST /labels``."""
    item = TypeAdapter(_label_item(schema)).json_schema()
    items = {"type": "array", "items": item, "minItems": 1, "maxItems": limit}
    batch = {
        "type": "object",
        "properties": {"labels": items},
        "required": ["labels"],
        "additionalProperties": False,
    }
    example = {
        "labels": [
            {"prediction_id": EXAMPLE_ID, "label": 0.5 if schema.regression else schema.classes[0]}
        ]
    }
    return _body({"anyOf": [batch, item]}, example)


def _body(schema: dict[str, Any], example: object) -> dict[str, Any]:
    content = {"application/json": {"schema": schema, "example": example}}
    return {"requestBody": {"required": True, "content": content}}
