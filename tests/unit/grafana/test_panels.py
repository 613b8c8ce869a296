"""Queries of panels come from the vocabulary, with a legend that distinguishes the series."""

from __future__ import annotations

import pytest
from testbed_grafana.panels import Query, newest
from testbed_otel import names


def test_newest_values_of_a_gauge() -> None:
    """The series as they are; a word stands before what distinguishes them."""
    where = ('basis="realised"',)
    found = newest(names.PERFORMANCE_SCORE, names.SCORE, where=where, word="realised")
    assert found == Query('ml_performance_score{basis="realised"}', "realised {{score}}")
    assert newest(names.DRIFT_RATIO, names.MODEL_VERSION) == Query(
        "ml_data_drift_ratio", "{{model_version}}"
    )


def test_newest_knows_the_attributes() -> None:
    """A legend can't show what the metric doesn't carry: it would stay empty."""
    with pytest.raises(ValueError, match="no attribute"):
        newest(names.DRIFT_RATIO, names.SEGMENT)
