"""What the job writes, as models: the schemas that are published, and that tests hold it to.

:class:`RunRecord` is a line of ``runs.jsonl`` and what ``run --json`` prints;
:class:`DriftReport` is a JSON report. Both may gain keys without a new ``schema_version``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

Ratio = float
Action = Literal["NO_ACTION", "ALERT", "RETRAIN"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


class ScoreRecord(_Part):
    """One score of a column."""

    method: str
    """Pinned method, the same for every size of window."""
    kind: Literal["p_value", "distance"]
    """Whether a small value (`p_value`) or a large one (`distance`) speaks for drift."""
    score: float | None
    """The value; null where it is not finite."""
    threshold: float
    """Limit of the value."""
    exceeded: bool
    """Whether this score alone speaks for drift; a column needs its test and its distance."""


class ColumnRecord(_Part):
    """Verdict on a column."""

    score: float | None
    """The leading effect size; null where there is nothing to compare."""
    threshold: float | None
    """Limit of the score."""
    method: str | None
    """How the score was made."""
    drifted: bool
    """Whether a test and an effect size of the same comparison speak for drift."""
    scores: list[ScoreRecord]
    """All scores, tests and effect sizes."""


class WindowRecord(_Part):
    """A window without its rows."""

    name: str
    """Its part of the reports' file names."""
    rows: int
    """Number of rows."""
    labels: int
    """Number of them with a label."""
    start: float | None
    """Unix time at which it begins; null where it is no window of time."""
    end: float | None
    """Unix time at which it ends, exclusive."""
    newest: float | None = None
    """Unix time of its newest row, of a training's reference that of the training."""


class Windows(_Part):
    """What was compared."""

    reference: WindowRecord
    current: WindowRecord


class PerformanceRecord(_Part):
    """Scores of the labelled rows of a window; null where not defined."""

    state: Literal["measured", "one_class", "no_labels", "empty"]
    """`empty`: there are no rows, or none with a prediction."""
    rows: int
    labels: int
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    roc_auc: float | None = None
    log_loss: float | None = None
    brier: float | None = None
    ece: float | None = None
    mae: float | None = None
    """Of a regression, as the three below: mean absolute error, in the target's unit."""
    rmse: float | None = None
    r2: float | None = None
    mean_error: float | None = None
    """Mean of prediction less label."""
    classes: list[str]
    confusion: list[list[int]]
    """Rows by true class (first index) and predicted class."""


class EstimateRecord(_Part):
    """Expected performance of the current window, without its labels."""

    state: Literal["estimated", "no_reference", "no_probabilities", "empty"]
    rows: int
    accuracy: float | None = None
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None
    roc_auc: float | None = None
    mae: float | None = None
    """Of a regression, by direct loss estimation."""
    standard_error: float | None
    """Of the accuracy, or the mean absolute error, that so many labels will show."""


class SegmentPerformanceRecord(PerformanceRecord):
    """Scores of the labelled rows of a segment, and those expected of all its rows."""

    estimated: EstimateRecord | None = None


class LabelRecord(_Part):
    """How many labels have come, and how late."""

    coverage: float | None
    delay_seconds: dict[str, float]
    """Quantile to seconds."""


class PerformanceRecords(_Part):
    """How well the model does."""

    reference: PerformanceRecord
    realised: PerformanceRecord
    estimated: EstimateRecord
    labels: LabelRecord
    segments: dict[str, SegmentPerformanceRecord]


class ColumnQualityRecord(_Part):
    """What is wrong with a column: shares of the rows."""

    missing: Ratio
    out_of_range: Ratio
    new_category: Ratio
    type_change: Ratio
    constant: bool
    new_values: list[str]


class QualityRecord(_Part):
    """What is wrong with the data of the current window."""

    rows: int
    duplicated: Ratio | None
    reference_duplicated: Ratio | None
    unexpected_columns: list[str]
    """Columns that the model, or the reference table, does not know; nobody reads them."""
    unreadable: dict[str, str] = {}
    """Of tables: columns of which some values can't be compared, with what they hold instead."""
    columns: dict[str, ColumnQualityRecord]


class ConceptRecord(_Part):
    """Whether labels show more errors than the inputs explain."""

    state: Literal["tested", "few_labels", "no_reference"]
    drifted: bool
    reason: str | None


class KindRecord(_Part):
    """How a column of a table is compared."""

    kind: Literal["number", "date", "boolean", "category"]
    values: int | None = None
    """Different values of a category in the reference."""
    retained: int | None = None
    """How many of them stand for themselves; the others are compared as one."""
    unreadable: int | None = None
    """Values of the reference that can't be read as this kind, where most can."""


class _Evaluated(_Part):
    decision: Action
    """What to do."""
    bound: str
    """The comparison of the share with its limit."""
    reasons: list[str] = Field(min_length=1)
    """One phrase each."""
    drift_share: Ratio = Field(ge=0, le=1)
    """Share of the columns that drifted."""
    columns: dict[str, ColumnRecord]
    """Verdict by feature."""
    prediction_drift: ColumnRecord
    """Verdict on the predicted class or number."""
    target_drift: ColumnRecord | None
    """Verdict on the label; null while too few labels have come."""
    performance: PerformanceRecords | None = None
    quality: QualityRecord | None = None
    concept_drift: ConceptRecord | None = None
    windows: Windows


class _Reported(_Part):
    schema_version: Literal[2]
    time: float
    """Unix time at which the run ended."""
    started: float
    """Unix time at which it began."""
    seconds: float = Field(ge=0)
    """How long it took; the first one of tables with reading them."""
    waited: float | None = Field(default=None, ge=0)
    """Of a job that watches: seconds since the run before ended in which it was ready to work and
    no processor was free; missing where the system does not say."""
    model_version: str
    """The model; of tables the value of the version column, else the reference's name; `unknown`
    where a run of the log failed before it was known."""
    message: str
    """The decision in one line, or why there is none."""
    group: str | None = None
    """The segment or version that this is about."""
    task: Literal["classification", "regression"] | None = None
    """Of tables: what target and prediction hold."""
    kinds: dict[str, KindRecord] | None = None
    """Of tables: how each column is compared."""
    left_out: dict[str, str] | None = None
    """Of tables: columns that are not compared, with the reason."""
    notes: list[str] | None = None
    """Of tables: how they were read, and what of them was left out, a line each."""


class Success(_Evaluated, _Reported):
    """A run with a decision."""

    outcome: Literal["success"]
    rows: dict[str, int]
    json_: str | None = Field(alias="json")
    """File name of the JSON report; null where none is kept."""
    html: str | None
    """File name of the HTML report; null where this run rendered none."""


class NoDecision(_Reported):
    """A run that could not decide."""

    outcome: Literal["insufficient_data", "error"]
    rows_needed: int | None = None
    """Rows that a window needs, where one has too few."""


class RunRecord(RootModel[Annotated[Success | NoDecision, Field(discriminator="outcome")]]):
    """A run of the drift job: a line of `runs.jsonl`, and what `run --json` prints."""


class DriftReport(_Evaluated):
    """A JSON report: scores and decision of two windows."""

    schema_version: Literal[2]
    model_version: str
    created: float
    """Unix time at which the run began."""
    alert_share: Ratio
    retrain_share: Ratio
    alert_columns: int = 0
    """Drifted columns from which it is ALERT whatever their share; 0: by the share alone."""
    evidently: list[dict[str, object]] | None
    """Evidently's metrics, where its report was rendered."""
