"""How a row is asked about and how the answer is read: of the bundled API, or of any service.

A request template is JSON in which a text that is wholly a placeholder becomes a value::

    {"inputs": [{"name": "x", "shape": [1, "{count}"], "datatype": "FP32", "data": "{values}"}]}

``{row}`` is the row as an object, ``{values}`` its values, ``{columns}`` their names, ``{count}``
how many there are, ``{id}`` the request's id, and any column's name its value. Within a longer text
only ``{id}`` is replaced; in the path ``{id}`` and columns are, as an URL writes them. JSONPath
(RFC 9535) reads the answers.

A body ``{"openapi": "/path"}`` stands for the examples of that route in the service's OpenAPI
document, which are sent in turn: then nothing of a row is.
"""

from __future__ import annotations

import json
import math
import re
import uuid
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self, TypeAlias

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from testbed_load.errors import LoadError
from testbed_load.headertemplates import FilledHeaders, HeaderTemplates
from testbed_load.labeltemplate import LabelTemplate
from testbed_load.pathtemplate import PathTemplate, PathText
from testbed_load.replies import Reply, answered, refused, succeeded

if TYPE_CHECKING:
    import jsonpath
    from testbed_domain.features import FeatureSchema, Label, Row

    from testbed_load.traffic import Requests

    CompiledPath: TypeAlias = jsonpath.CompoundJSONPath | jsonpath.JSONPath

PREDICT: Final = "/predict"
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")
_ID: Final = "{id}"
_NONE: Final[Mapping[str, str]] = {}
_WHOLE: Final = ("row", "values", "columns", "count", "id")
_BOUNDED: Final = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, config=_BOUNDED)
class RequestTemplate:
    """The request that asks a service for one prediction."""

    path: PathText = Field(
        default=PREDICT,
        description="Path, with a query where it needs one; it may hold `{id}` and columns, as "
        "`{Age}`. `{id}` is the request's, here and in the body, also where a column is called so.",
    )
    method: Literal["POST", "PUT", "GET"] = "POST"
    headers: HeaderTemplates = Field(
        default_factory=dict,
        description="Name to value; `${NAME}` is an environment variable, for keys and the like, "
        "`{id}` the request's id.",
    )
    body: Any = Field(
        default="{row}",
        description="JSON with placeholders; null sends no body; `{openapi: /predict}` sends the "
        "examples of that route in its OpenAPI document, in turn.",
    )

    @property
    def shown_at(self) -> str | None:
        """The route whose examples are sent; None where rows are."""
        match self.body:
            case {"openapi": str(route)} if len(self.body) == 1 and route.startswith("/"):
                return route
        return None


@dataclass(frozen=True, slots=True, config=_BOUNDED)
class ReplyPaths:
    """Where in the answer a prediction stands, as JSONPath (RFC 9535)."""

    prediction: str | None = Field(
        default=None,
        description="The class or number; null: the most probable class, or none.",
    )
    probability: str | None = Field(default=None, description="Probability of the predicted class.")
    probabilities: str | None = Field(
        default=None, description="Probabilities of all classes, in the order of the use case."
    )
    id: str | None = Field(
        default=None, description="Id of the prediction; null: made of the request's."
    )
    classes: Mapping[str, str] = Field(
        default_factory=dict, description="Class in the answer to class of the use case."
    )

    @field_validator("prediction", "probability", "probabilities", "id")
    @classmethod
    def _is_path(cls, path: str | None) -> str | None:
        if path is not None:
            _compiled(path)
        return path

    @property
    def predicts(self) -> bool:
        """Whether an answer holds a prediction."""
        return self.prediction is not None or self.probabilities is not None


@dataclass(frozen=True, slots=True, config=_BOUNDED)
class ServiceExchange:
    """Request and answer of a service that is not the bundled API."""

    request: RequestTemplate = field(default_factory=RequestTemplate)
    reply: ReplyPaths = field(default_factory=ReplyPaths)
    labels: LabelTemplate | None = None
    examples: tuple[Any, ...] = ()

    @model_validator(mode="after")
    def _no_body_to_get(self) -> Self:
        if self.request.shown_at and self.reply.predicts:
            raise ValueError(
                "request.body sends examples, which are not the rows of the use case: leave out "
                "reply, for no answer is a prediction for a row"
            )
        if self.request.method == "GET" and self.request.body not in (None, "{row}"):
            raise ValueError("a GET request has no body")
        return self


class Exchange(Protocol):
    """Asks about rows and reads the answers."""

    @property
    def method(self) -> str:
        """HTTP method."""

    @property
    def name(self) -> str:
        """What Locust's statistics call it."""

    def headers(self, request_id: str) -> Mapping[str, str]:
        """Headers of the request, beside those of the load."""

    def path(self, row: Row, request_id: str) -> str:
        """Path of the request."""

    def body(self, row: Row, request_id: str) -> str | None:
        """Its body."""

    def read(self, status: int, content: bytes, request_id: str) -> Reply:
        """What an answer holds."""


class BundledExchange:
    """With the bundled API.

    Args:
        requests: makes the bodies.
    """

    method = "POST"
    name = PREDICT

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def headers(self, request_id: str) -> Mapping[str, str]:
        """None of its own."""
        del request_id
        return _NONE

    def path(self, row: Row, request_id: str) -> str:
        """The route of single predictions."""
        del row, request_id
        return PREDICT

    def body(self, row: Row, request_id: str) -> str:
        """The features, or the id of whom they are."""
        del request_id
        return self._requests.body(row)

    def read(self, status: int, content: bytes, request_id: str) -> Reply:
        """The API's answer."""
        del request_id
        return answered(status, content)


class TemplateExchange:
    """With any service, by a template.

    Args:
        wanted: the template, and where the answer holds what.
        schema: of the rows.
        variables: the environment that headers may ask for.

    Raises:
        LoadError: the template names a column that the rows lack, a class that is none, or a
            variable that is not set.
    """

    def __init__(
        self, wanted: ServiceExchange, schema: FeatureSchema, variables: Mapping[str, str]
    ) -> None:
        self.method: str = wanted.request.method
        self.name = wanted.request.path
        self._columns = schema.names
        self._body = None if self.method == "GET" else wanted.request.body
        self._require_columns(self._body)
        shown = wanted.request.shown_at is not None
        self._path = PathTemplate(wanted.request.path, () if shown else schema.names)
        self._examples = tuple(json.dumps(each, allow_nan=False) for each in wanted.examples)
        if wanted.request.shown_at is not None and not self._examples:
            raise LoadError(f"no example of {wanted.request.shown_at} was read")
        self._headers = FilledHeaders(wanted.request.headers, variables)
        reply = wanted.reply
        paths = (reply.prediction, reply.probability, reply.probabilities, reply.id)
        self._prediction, self._probability, self._probabilities, self._id = (
            None if path is None else _compiled(path) for path in paths
        )
        self._schema = schema
        self._classes = {str(label): label for label in schema.classes}
        for name, label in reply.classes.items():
            if label not in self._classes:
                raise LoadError(
                    f"the reply's class {name!r} is to be {label!r}, which is not a class of "
                    f"{schema.target}; these are {', '.join(self._classes)}"
                )
        self._classes |= {name: self._classes[label] for name, label in reply.classes.items()}

    def headers(self, request_id: str) -> Mapping[str, str]:
        """With variables and the request's id where they ask for these."""
        return self._headers.of(request_id)

    def hidden(self, text: str) -> str:
        """What the service says, in which keys of the headers are variables again."""
        return self._headers.hidden(text)

    def path(self, row: Row, request_id: str) -> str:
        """With the request's id and the row's values where it asks for these."""
        return self._path.filled(row, request_id)

    def body(self, row: Row, request_id: str) -> str | None:
        """The template with the row in it."""
        if self._body is None:
            return None
        if self._examples:
            number = request_id.rpartition("-")[2]
            return self._examples[int(number) % len(self._examples)]
        return json.dumps(self.filled(row, request_id), allow_nan=False)

    def filled(self, row: Row, request_id: str) -> Any:  # noqa: ANN401 - JSON
        """The body before it is written as JSON."""
        return self._filled(self._body, row, request_id)

    def read(self, status: int, content: bytes, request_id: str) -> Reply:
        """The prediction in the answer; its id is made of the request's where it brings none."""
        if not succeeded(status):
            return refused(status, self.hidden(content.decode(errors="replace")).encode())
        if self._prediction is None and self._probabilities is None:
            return Reply(status)
        try:
            body = json.loads(content)
            prediction, probability = self._predicted(body)
            own = None if self._id is None else _one(self._id, body)
        except (ArithmeticError, LoadError, TypeError, ValueError, RecursionError) as error:
            return Reply(status, problem=self.hidden(f"the answer is not a prediction: {error}"))
        identifier = uuid.uuid5(uuid.NAMESPACE_URL, request_id) if own is None else own
        return Reply(
            status,
            prediction_id=str(identifier),
            prediction=prediction,
            probability=probability,
        )

    def _predicted(self, body: Any) -> tuple[Label, float | None]:  # noqa: ANN401 - JSON
        if self._probabilities is not None and self._prediction is None:
            return self._likeliest(_all(self._probabilities, body))
        found = _one(self._prediction, body)
        probability = None if self._probability is None else _number(_one(self._probability, body))
        if self._schema.regression:
            return _number(found), None
        if probability is None and self._probabilities is not None:
            probability = max(map(_number, _all(self._probabilities, body)))
        return self._label(found), probability

    def _likeliest(self, values: list[Any]) -> tuple[Label, float]:
        classes = self._schema.classes
        numbers = [_number(value) for value in values]
        if len(numbers) == 1 and len(classes) == 2:  # noqa: PLR2004 - of the positive class
            numbers = [1 - numbers[0], numbers[0]]
        if len(numbers) != len(classes):
            raise LoadError(f"it has {len(numbers)} probabilities for {len(classes)} classes")
        best = max(range(len(numbers)), key=numbers.__getitem__)
        return classes[best], numbers[best]

    def _label(self, value: object) -> Label:
        text = str(value)
        if text not in self._classes and isinstance(value, int | float) and value == int(value):
            text = str(int(value))  # true is 1, and 1.0 is 1
        try:
            return self._classes[text]
        except KeyError:
            known = ", ".join(self._classes)
            raise LoadError(f"{value!r} is none of the classes {known}") from None

    def _filled(self, node: Any, row: Row, request_id: str) -> Any:  # noqa: ANN401 - JSON
        if isinstance(node, dict):
            return {key: self._filled(value, row, request_id) for key, value in node.items()}
        if isinstance(node, list):
            return [self._filled(value, row, request_id) for value in node]
        if not isinstance(node, str):
            return node
        if (whole := _PLACEHOLDER.fullmatch(node)) is None:
            return node.replace(_ID, request_id)
        return self._value(whole[1], row, request_id)

    def _value(self, name: str, row: Row, request_id: str) -> Any:  # noqa: ANN401 - JSON
        match name:
            case "row":
                return row
            case "values":
                return [row.get(column) for column in self._columns]
            case "columns":
                return list(self._columns)
            case "count":
                return len(self._columns)
            case "id":
                return request_id
        return row.get(name)

    def _require_columns(self, node: object) -> None:
        if isinstance(node, dict):
            for value in node.values():
                self._require_columns(value)
        elif isinstance(node, list):
            for value in node:
                self._require_columns(value)
        elif isinstance(node, str) and (whole := _PLACEHOLDER.fullmatch(node)):
            self._require_column(whole[1])

    def _require_column(self, name: str) -> None:
        if name not in (*_WHOLE, *self._columns):
            raise LoadError(
                f"the request's body asks for {{{name}}}, and the rows have no such column; they "
                f"have {', '.join(self._columns)}, and {{{'}, {'.join(_WHOLE)}}} always work"
            )


def _compiled(path: str) -> CompiledPath:
    """The path, ready to be looked up.

    Raises:
        ValueError: it is not a JSONPath.
    """
    import jsonpath  # noqa: PLC0415 - a tenth of a second, and only services of others need it

    try:
        return jsonpath.compile(path)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{path!r} is not a JSONPath: {error}") from None


def _number(value: Any) -> float:  # noqa: ANN401 - JSON
    number = float(value)
    if not math.isfinite(number):
        raise LoadError(f"{value!r} is not a number")
    return number


def _all(path: CompiledPath, body: Any) -> list[Any]:  # noqa: ANN401 - JSON
    """What stands there: the values of an array, or all that the path finds."""
    found = path.findall(body)
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    if len(found) == 1 and isinstance(found[0], list):  # of the only row
        found = found[0]
    return list(found)


def _one(path: Any, body: Any) -> Any:  # noqa: ANN401 - JSON
    found = _all(path, body)
    if not found:
        raise LoadError(f"nothing stands at {path}")
    return found[0]
