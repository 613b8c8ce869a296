"""What a reply holds; its schema says which fields beside those of every reply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from testbed_domain.encoding import Scored

from testbed_api.http.schemas import EXAMPLE_ID, NumberReply, PredictionReply
from testbed_api.serving.reply import reply

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema

_EXAMPLE_PROBABILITY = 0.75
_EXAMPLE_NUMBER = 151.25


def reply_model(artefact: Artefact) -> type[BaseModel]:
    """The reply of ``POST /predict`` as the API page shows it: all fields, and an example."""
    schema = artefact.schema
    base: type[BaseModel] = NumberReply if schema.regression else PredictionReply
    prediction: Any = float if schema.regression else int | str
    fields: dict[str, Any] = {
        field.name: (
            prediction if field.source == "prediction" else float,
            Field(description=field.description),
        )
        for field in schema.reply
    }
    example: Any = {"example": reply(artefact, EXAMPLE_ID, _example(schema))}
    described = type(
        base.__name__, (base,), {"model_config": ConfigDict(json_schema_extra=example)}
    )
    return create_model(base.__name__, __base__=described, __doc__=base.__doc__, **fields)


def _example(schema: FeatureSchema) -> Scored:
    if schema.regression:
        return Scored(_EXAMPLE_NUMBER)
    positive = schema.classes[-1] if schema.positive_class is None else schema.positive_class
    rest = (1 - _EXAMPLE_PROBABILITY) / max(1, len(schema.classes) - 1)
    probabilities = {
        str(label): _EXAMPLE_PROBABILITY if label == positive else round(rest, 3)
        for label in schema.classes
    }
    place = schema.classes.index(positive)
    return Scored(positive, place, _EXAMPLE_PROBABILITY, probabilities)
