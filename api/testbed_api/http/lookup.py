"""From an id in a request to the features that the artefact's table holds for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed_domain.featuretable import FeatureTable

from testbed_api.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed_domain.artefact import Artefact
    from testbed_domain.features import Row


def row_lookup(artefact: Artefact) -> Callable[[str], Row] | None:
    """The features of an id, from the artefact's table; None where rows have no ids.

    The function raises :class:`ApiError`, 404, for an unknown id.

    Raises:
        ArtefactError: the table cannot be read.
    """
    key, table = artefact.schema.key, FeatureTable.of(artefact)
    if key is None or table is None:
        return None

    def look_up(identifier: str) -> Row:
        row = table.get(identifier)
        if row is None:
            raise ApiError(
                404,
                "validation",
                f"this {key.field} is not in the feature table of {len(table)} known ids: "
                "check it, or send all features in the body in its place",
            )
        return row

    return look_up
