"""What is written is checked by the published JSON Schemas, each of which is read once."""

from __future__ import annotations

import json
from functools import cache

from jsonschema import Draft202012Validator
from testbed.schemas import schema_text


@cache
def schema_of(name: str) -> Draft202012Validator:
    """The validator of a schema, which is one itself.

    Args:
        name: of its file, as in ``verdict.schema.json``.
    """
    schema = json.loads(schema_text(name))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)
