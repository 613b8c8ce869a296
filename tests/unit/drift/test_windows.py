"""Windows: rows of the log as typed frames."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from testbed_domain.features import Feature, FeatureSchema
from testbed_drift.rows.columns import PREDICTION, TARGET
from testbed_drift.rows.frames import declare, kinds_of
from testbed_drift.rows.spans import Period
from testbed_drift.rows.windows import NotEnoughRowsError, WindowReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from testbed_domain.logstore import Columns
    from testbed_drift.rows.columns import ColumnKind

KINDS: dict[str, ColumnKind] = {"size": "numeric", "colour": "category"}
READER = WindowReader("rf-0123456789ab", KINDS, min_rows=200, max_rows=1000)
SPAN = Period.parse("2026-11-21/2026-11-21")


def test_kinds_follow_the_schema() -> None:
    """Integers and numbers are compared as numbers, categories as categories."""
    features = (
        Feature("a", "integer", ""),
        Feature("b", "number", ""),
        Feature("c", "category", ""),
    )
    kinds = kinds_of(FeatureSchema(features, "y", (0, 1)))
    assert kinds == {"a": "numeric", "b": "numeric", "c": "category"}


def test_window_asks_for_the_newest_rows_of_the_span(log: Any) -> None:  # noqa: ANN401 - a fake of conftest
    """The log is asked for the version, the span and the newest ``max_rows``."""
    window = READER.of_log(log, SPAN)
    assert log.asked == [("rf-0123456789ab", SPAN.start, SPAN.end, 1000)]
    assert window.name == "2026-11-21"
    assert window.newest == 299
    summary = window.summary()
    assert (summary.rows, summary.labels) == (300, 150)
    assert (summary.start, summary.end) == (SPAN.start, SPAN.end)


def test_too_few_rows_are_refused(log: Any, columns_of: Callable[..., Columns]) -> None:  # noqa: ANN401 - a fake of conftest
    """A window below ``min_rows`` is not evaluated; the message has both numbers."""
    log.current = columns_of(199)
    with pytest.raises(NotEnoughRowsError, match=r"199 rows .* 200 needed"):
        READER.of_log(log, SPAN)
    log.current = columns_of(200)
    assert len(READER.of_log(log, SPAN).frame) == 200


def test_training_reference_may_be_small_but_not_empty(
    log: Any,  # noqa: ANN401 - a fake of conftest
    columns_of: Callable[..., Columns],
) -> None:
    """A small data set has a small reference; a log without one is an expected error."""
    log.training = columns_of(30)
    window = READER.training_reference(log)
    assert (window.name, len(window.frame)) == ("reference-rf-0123456789ab", 30)
    log.training = columns_of(0)
    with pytest.raises(NotEnoughRowsError, match="no reference rows"):
        READER.training_reference(log)


def test_names_of_odd_versions_fit_into_file_names(log: Any) -> None:  # noqa: ANN401 - a fake of conftest
    """No version leads a report out of its directory."""
    reader = WindowReader("../v 1/" + "x" * 80, KINDS, 1, 10)
    name = reader.training_reference(log).name
    assert "/" not in name
    assert len(name) < 40


def test_frames_have_declared_types() -> None:
    """Numbers become float64, anything else a missing value; classes and categories text."""
    raw = pd.DataFrame(
        {
            "size": [1, "2.5", "x", math.inf, None, 1e308],
            "colour": ["red", 7, None, "blue", "red", "red"],
            PREDICTION: [0, 1, 1, 0, 1, 0],
            TARGET: [1, None, None, 0, 1, 1],
            "extra": range(6),
        }
    )
    frame = declare(raw, {**KINDS, "gone": "numeric"})
    assert list(frame) == ["size", "colour", "gone", PREDICTION, TARGET]
    assert frame["size"].dtype == "float64"
    assert frame["size"].isna().tolist() == [False, False, True, True, True, False]
    assert (frame["size"].dropna() ** 2 < math.inf).all()
    assert frame["colour"].isna().tolist() == [False, False, True, False, False, False]
    assert frame["colour"][1] == "7"
    assert frame["gone"].isna().all()
    assert frame[PREDICTION].tolist() == ["0", "1", "1", "0", "1", "0"]
    assert frame[TARGET].count() == 4
