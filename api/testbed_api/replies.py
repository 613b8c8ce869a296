"""What a use case's own reply holds beside the fields of every reply; its schema says which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from testbed_domain.encoding import Scored

from testbed_api.schemas import EXAMPLE_ID, PredictionReply

if TYPE_CHECKING:
    from testbed_domain.artefact import Artefact
    from testbed_domain.features import FeatureSchema, ReplySource

_EXAMPLE_PROBABILITY = 0.75


def own_fields(schema: FeatureSchema, scored: Scored) -> dict[str, Any]:
    """The further fields of one reply."""
    return {field.name: _value(schema, scored, field.source) for field in schema.reply}


def reply_model(artefact: Artefact) -> type[BaseModel]:
    """The reply of ``POST /predict`` as the API page shows it: all fields, and an example."""
    schema = artefact.schema
    fields: dict[str, Any] = {
        field.name: (
            (int | str) if field.source == "prediction" else float,
            Field(description=field.description),
        )
        for field in schema.reply
    }

    class Described(PredictionReply):
        model_config = ConfigDict(json_schema_extra={"example": _example(artefact)})

    Described.__doc__ = PredictionReply.__doc__
    return create_model(
        PredictionReply.__name__, __base__=Described, __doc__=PredictionReply.__doc__, **fields
    )


def _value(schema: FeatureSchema, scored: Scored, source: ReplySource) -> int | str | float:
    if source == "prediction":
        return schema.classes[scored.index]
    if source == "probability":
        return scored.probability
    return scored.probabilities[str(schema.positive_class)]


def _example(artefact: Artefact) -> dict[str, Any]:
    schema = artefact.schema
    positive = schema.classes[-1] if schema.positive_class is None else schema.positive_class
    rest = (1 - _EXAMPLE_PROBABILITY) / max(1, len(schema.classes) - 1)
    probabilities = {
        str(label): _EXAMPLE_PROBABILITY if label == positive else round(rest, 3)
        for label in schema.classes
    }
    scored = Scored(schema.classes.index(positive), _EXAMPLE_PROBABILITY, probabilities)
    return {
        "prediction_id": EXAMPLE_ID,
        "prediction": positive,
        "probability": scored.probability,
        "probabilities": probabilities,
        "model_version": artefact.version,
        "synthetic": artefact.synthetic,
        **own_fields(schema, scored),
    }
