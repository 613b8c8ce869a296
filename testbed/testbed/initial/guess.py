"""What a service's file should say, by what the service shows. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from testbed_load.pathtemplate import unusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from testbed_domain.features import FeatureSchema

    from testbed.initial.look import Looked

PREDICTS: Final = ("predict", "invocations", "infer", "score", "classify")
"""What a path of predictions is usually called."""
PREDICTION: Final = ("prediction", "predictions", "label", "class", "predicted", "result", "output")
PROBABILITY: Final = ("probability", "confidence", "score", "proba")
IDENTITY: Final = ("prediction_id", "request_id", "id", "uuid")
STATUS: Final = ("status", "status_code", "code", "http_response_status_code", "http_status")
WRAPPERS: Final = ("instances", "rows", "data", "inputs", "features", "input")


@dataclass(frozen=True, slots=True)
class Guess:
    """A value of the service's file, and why it is thought to be that."""

    value: Any
    why: str


def path_of(looked: Looked) -> Guess:
    """The path of predictions."""
    paths: Mapping[str, Any] = (looked.openapi or {}).get("paths", {})
    posts = [path for path, methods in paths.items() if "post" in methods and _is_plain(path)]
    for word in PREDICTS:
        if found := next((path for path in posts if word in path.lower()), None):
            return Guess(found, "the POST route of its OpenAPI document that sounds like it")
    if posts:
        return Guess(posts[0], "the first POST route of its OpenAPI document")
    return Guess("/predict", "the usual one: it shows no OpenAPI document")


def _is_plain(path: str) -> bool:
    """Whether it can be asked as it stands in a document, which is not bound to write paths."""
    return path.startswith("/") and not set("{}") & set(path) and unusable(path) is None


def body_of(looked: Looked, path: str, schema: FeatureSchema) -> Guess:
    """The body of a request, as a template."""
    properties = _properties(looked, path)
    columns = set(schema.names)
    if columns <= set(properties):
        return Guess("{row}", f"its OpenAPI document names the columns of {schema.target}")
    for name in properties:
        if name in WRAPPERS and properties[name].get("type") == "array":
            row = "{values}" if _at(properties[name], "items").get("type") == "array" else "{row}"
            return Guess({name: [row]}, f"its OpenAPI document has an array {name}")
        if name in WRAPPERS:
            return Guess({name: "{row}"}, f"its OpenAPI document has a field {name}")
    return Guess("{row}", "the usual one: an object of the columns")


def _properties(looked: Looked, path: str) -> Mapping[str, Any]:
    document = looked.openapi or {}
    operation = _at(document, "paths", path, "post")
    schema = _at(operation, "requestBody", "content", "application/json", "schema")
    properties = _at(_resolved(document, schema), "properties")
    return {name: each for name, each in properties.items() if isinstance(each, dict)}


def _at(node: object, *keys: str) -> Mapping[str, Any]:
    """The object at a path within JSON; an empty one where there is none."""
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, dict) else {}


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = str(schema.get("$ref", ""))
    if not reference.startswith("#/"):
        return schema
    return _at(document, *reference.removeprefix("#/").split("/"))


def reply_of(answer: object) -> dict[str, Guess]:
    """Where prediction, probability and id stand in an answer."""
    found: dict[str, Guess] = {}
    for path, name, value in _leaves(answer, "$", ""):
        key = name.lower()
        if "id" not in found and key in IDENTITY:
            found["id"] = Guess(path, f"it answered {value!r}")
        elif "probability" not in found and key in PROBABILITY and _is_ratio(value):
            found["probability"] = Guess(path, f"it answered {value!r}")
        elif "prediction" not in found and key in PREDICTION:
            found["prediction"] = Guess(path, f"it answered {value!r}")
    if "prediction" not in found:
        left = [
            (path, value)
            for path, name, value in _leaves(answer, "$", "")
            if path not in {guess.value for guess in found.values()}
        ]
        # A truth, or the only other value, is what was predicted.
        likely = [pair for pair in left if isinstance(pair[1], bool)] or left
        if len(likely) == 1:
            path, value = likely[0]
            found["prediction"] = Guess(path, f"it answered {value!r}")
    return found


def _leaves(node: object, path: str, name: str) -> Iterator[tuple[str, str, object]]:
    if isinstance(node, dict):
        for key, value in node.items():
            step = f".{key}" if str(key).isidentifier() else f"[{json.dumps(key)}]"
            yield from _leaves(value, f"{path}{step}", str(key))
    elif isinstance(node, list):
        if node:
            yield from _leaves(node[0], f"{path}[0]", name)
    else:
        yield path, name, node


def _is_ratio(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def counts_of(grown: Sequence[tuple[str, Mapping[str, str]]]) -> dict[str, Guess]:
    """Which series count requests, errors and latency, by what grew with the predictions."""
    found: dict[str, Guess] = {}
    for name, labels in grown:
        status = next((label for label in STATUS if label in labels), None)
        others = {key: value for key, value in labels.items() if key != status}
        why = "it grew by one with every prediction"
        if name.endswith("_total") and ("requests" not in found or _says_requests(name)):
            if "requests" in found and _says_requests(_name_of(found["requests"])):
                continue
            found["requests"] = Guess(selector(name, others), why)
            if status is not None:
                grouped = not labels[status].isdigit()
                broken = f'{status}="5xx"' if grouped else f'{status}=~"5.."'
                found["errors"] = Guess(selector(name, others, broken), f"by its label {status}")
        elif name.endswith("_count") and "latency" not in found and _says_time(name):
            found["latency"] = Guess(selector(name, others), why)
    return found


def selector(name: str, labels: Mapping[str, str], *more: str) -> str:
    """Of PromQL."""
    matchers = [
        f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(labels.items())
    ] + list(more)
    return f"{name}{{{','.join(matchers)}}}" if matchers else name


def _name_of(guess: Guess) -> str:
    return str(guess.value).partition("{")[0]


def _says_requests(name: str) -> bool:
    return "request" in name


def _says_time(name: str) -> bool:
    return any(word in name for word in ("seconds", "duration", "latency", "_ms_"))
