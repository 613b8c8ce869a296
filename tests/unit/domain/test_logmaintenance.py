"""Keeping the log: statistics, pruning, export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from testbed_domain.logmaintenance import (
    EXPORT_GROUP,
    PruneRefusedError,
    export,
    prunable,
    prune,
    stats,
)
from testbed_domain.logstore import LogError, PredictionLog, PredictionRow, open_log

from tests.support.predictionlog import label_count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed_domain.artefact import Artefact

ROW = PredictionRow(
    "0", 0.0, "r", "one", "model", "v1", {"a": 1, "b": None}, "1", 0.75, {"0": 0.25, "1": 0.75}
)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    """An empty log."""
    with open_log(f"sqlite:///{tmp_path / 'log.db'}") as opened:
        yield opened


def _fill(log: PredictionLog, numbers: range, **changes: str) -> None:
    prefix = changes.get("model_version", "v1")
    log.append(
        [ROW._replace(id=f"{prefix}-{n}", time=float(n), **changes) for n in numbers]  # type: ignore[arg-type]
    )


def test_stats(log: PredictionLog) -> None:
    """Rows, labels, replicas and times by version; the size is that of the files."""
    _fill(log, range(10, 20))
    _fill(log, range(20, 25), model_version="v2", instance="two")
    log.append_labels([("v1-10", "1", 50.0), ("v1-11", "0", 50.0)])
    found = stats(log)
    first, second = found.versions
    assert (first.rows, first.labelled, first.instances, first.first, first.last) == (
        10, 2, 1, 10.0, 19.0,
    )  # fmt: skip
    assert (second.model_version, second.rows, second.labelled) == ("v2", 5, 0)
    assert found.size > 4096


def test_pruning_takes_old_rows_with_their_labels(log: PredictionLog, iris: Artefact) -> None:
    """In groups, of all versions; younger rows, their labels and the reference stay."""
    log.register_reference(iris)
    _fill(log, range(25))
    _fill(log, range(5), model_version="v2")
    log.append_labels([(f"v1-{number}", "1", 90.0) for number in (3, 21, 22)])
    assert prune(log, 21.0, group=4) == 26
    assert log.window("v1").time == [21.0, 22.0, 23.0, 24.0]
    assert log.window("v1").label == ["1", "1", None, None]
    assert (log.count("v2"), label_count(log)) == (0, 2)
    assert len(log.reference(iris.version)) == iris.splits["reference"]
    assert prune(log, 21.0) == 0
    assert log.append_labels([("v1-3", "1", 99.0)]) == ["unknown"]


def test_more_than_half_is_not_pruned_unasked(log: PredictionLog) -> None:
    """Whatever the version; half of the log is still allowed, and none is nothing."""
    assert prunable(log, 5.0) == 0
    _fill(log, range(10))
    _fill(log, range(10, 20), model_version="v2")
    assert prunable(log, 10.0) == 10
    with pytest.raises(PruneRefusedError, match="11 of 20 predictions"):
        prunable(log, 11.0)


def test_export_writes_every_field(log: PredictionLog, tmp_path: Path) -> None:
    """Rows come oldest first with their types, labels and both bounds."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

    log.append(
        [
            ROW._replace(id="b", time=2.5, features={"a": 2.5, "b": "x", "c": 7}),
            ROW._replace(id="a", time=1.5),
            ROW._replace(id="late", time=9.0),
            ROW._replace(id="other", time=2.0, model_version="v2"),
        ]
    )
    log.append_labels([("b", "0", 5.0)])
    file = tmp_path / "out.parquet"
    assert export(log, file, start=1.5, end=9.0, model_version="v1") == 2
    table = pq.read_table(file)
    first, second = table.to_pylist()
    assert first == {
        "id": "a",
        "time": datetime.fromtimestamp(1.5, UTC),
        "request_id": "r",
        "instance": "one",
        "model_name": "model",
        "model_version": "v1",
        "prediction": "1",
        "probability": 0.75,
        "label": None,
        "label_time": None,
        "feature.a": 1.0,
        "feature.b": None,
        "feature.c": None,
        "probability.0": 0.25,
        "probability.1": 0.75,
    }
    assert (second["feature.a"], second["feature.b"], second["feature.c"]) == (2.5, "x", 7)
    assert (second["label"], second["label_time"]) == ("0", datetime.fromtimestamp(5.0, UTC))
    assert str(table.schema.field("feature.c").type) == "int64"


def test_export_of_many_rows_and_of_none(log: PredictionLog, tmp_path: Path) -> None:
    """More than one group is written whole; an empty log gives an empty file, no half one."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

    file = tmp_path / "out.parquet"
    assert export(log, file) == 0
    assert pq.read_table(file).num_rows == 0
    _fill(log, range(EXPORT_GROUP + 10))
    assert export(log, file) == EXPORT_GROUP + 10
    assert pq.read_table(file).column("id").to_pylist()[-1] == f"v1-{EXPORT_GROUP + 9}"
    with pytest.raises(LogError, match="cannot write"):
        export(log, tmp_path / "absent" / "out.parquet")
    assert not list(tmp_path.glob(".*"))
