"""Schema of the prediction log, version 1: the seam between API, drift job and checks.

The API appends to ``predictions`` and ``labels``; training puts the reference window into
``reference_rows``; the drift job and the verdict only read. SQLite (WAL) by default, PostgreSQL by
URL. Times are UTC Unix seconds, so no database's idea of time zones can shift a window.

A regression's rows stand in the same columns, so a log of any age takes them: numbers are the
shortest text that reads as equal, and there is no probability.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, Column, Float, Index, Integer, MetaData, String, Table

SCHEMA_VERSION: Final = 1

metadata: Final = MetaData()

predictions: Final = Table(
    "predictions",
    metadata,
    Column("id", String(36), primary_key=True, doc="UUID of the prediction, as in the reply."),
    Column("time", Float, nullable=False, doc="When the prediction was made."),
    Column("request_id", String(64), doc="X-Request-ID of the request, where it had one."),
    Column("instance", String(64), nullable=False, doc="service.instance.id of the replica."),
    Column("model_name", String(64), nullable=False),
    Column("model_version", String(64), nullable=False),
    Column("features", JSON, nullable=False, doc="Feature name to value, as validated."),
    Column("prediction", String(64), nullable=False, doc="Predicted class or number, as text."),
    Column("probability", Float, nullable=False, doc="Of the predicted class; 0 of a number."),
    Column("probabilities", JSON, nullable=False, doc="Class (as text) to it; {} of a number."),
    Index("predictions_by_time", "model_version", "time"),
)

labels: Final = Table(
    "labels",
    metadata,
    Column("prediction_id", String(36), primary_key=True),
    Column("label", String(64), nullable=False, doc="True class or number, as text."),
    Column("time", Float, nullable=False, doc="When the label arrived."),
)

reference_rows: Final = Table(
    "reference_rows",
    metadata,
    Column("model_version", String(64), primary_key=True),
    Column("row", Integer, primary_key=True),
    Column("features", JSON, nullable=False),
    Column("prediction", String(64), nullable=False),
    Column("probability", Float, nullable=False),
    Column("probabilities", JSON, nullable=False),
    Column("label", String(64), nullable=False),
)

log_meta: Final = Table(
    "prediction_log_meta",
    metadata,
    Column("key", String(64), primary_key=True, doc="schema_version is the only one."),
    Column("value", String(64), nullable=False),
)
