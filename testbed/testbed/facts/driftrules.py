"""Whether the verdicts and decisions of the drift job follow from its own scores. Pure.

The documented rule, written down a second time: a job that obeys other limits is found out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from testbed.facts.driftpoints import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from testbed.driftplan import DriftPlan
    from testbed.facts.driftpoints import Record

ALERT_RATIO: Final = 0.30
RETRAIN_RATIO: Final = 0.5
# Documented level of each test, and its part of a level for the whole window.
LEVELS: Final = {
    "columns": (0.001, 0.2),
    "prediction": (0.001, 0.05),
    "target": (0.001, 0.05),
    "concept": (1e-5, 0.05),
    "correlation": (None, 0.15),
    "domain": (0.001, 0.1),
    "label": (0.001, 0.15),
}
NUMERIC: Final = "wasserstein"
EFFECTS: Final = {
    NUMERIC: 0.1,
    "total_variation": 0.05,
    "missing_ratio": 0.05,
    "correlation_change": 0.1,
    "domain_auc": 0.55,
    "label_relation_change": 0.05,
}
ERROR_RISE: Final = 0.02
NUMBER_RISE: Final = 0.05
"""Of a mean absolute error, as a share of the reference's."""
PAIRS: Final = {
    "ks": NUMERIC,
    "chi_square_two_sample": "total_variation",
    "missing_chi_square": "missing_ratio",
}
CLOSE: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Rules:
    """What the job was to obey.

    Attributes:
        level: chance of an action in a window without drift; None where each test has its own.
        alert_share: share of drifted columns for ALERT.
        alphas: calibrated significance of columns.
    """

    level: float | None = None
    alert_share: float = ALERT_RATIO
    alphas: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Path, level: float | None) -> Rules:
        """Those of a model, with its calibration where it has one."""
        try:
            found = json.loads((model / "calibration.json").read_text(encoding="utf-8"))
            return cls(level, float(found["alert_share"]), dict(found["alphas"]))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(level)

    def test(self, name: str) -> float | None:
        """Level of a test; None where its draws say it."""
        usual, part = LEVELS[name]
        if self.level is None:
            return usual
        mine = self.level * part
        return mine if usual is None else min(usual, mine)

    def column(self, name: str, columns: int) -> float:
        """Significance of one of the columns."""
        own = (self.test("columns") or 0.0) / columns
        if name not in self.alphas:
            return own
        return self.alphas[name] if self.level is None else min(own, self.alphas[name])


def faults(records: Sequence[Record], rules: Rules) -> Iterator[tuple[int, str]]:
    """Index of the run and what is wrong with it.

    Args:
        records: lines of ``runs.jsonl``, in order.
        rules: what they were to obey.
    """
    for index, record in enumerate(records):
        if record["outcome"] == SUCCESS:
            for text in _of_record(record, rules):
                yield index, text


def unplanned(records: Sequence[Record], plan: DriftPlan) -> Iterator[tuple[int, str]]:
    """Windows of another size than planned, which would evaluate other rows with the same seed."""
    if plan.rows is None or plan.every is None:
        return
    sizes = {min(plan.rows, number * plan.every) for number in range(1, plan.windows + 1)}
    for index, record in enumerate(records):
        if record["outcome"] == SUCCESS and record["rows"]["current"] not in sizes:
            rows = record["rows"]["current"]
            yield index, f"its window has {rows} rows, planned are {plan.rows}"


def _of_record(record: Record, rules: Rules) -> Iterator[str]:
    columns = record["columns"]
    for name, verdict in columns.items():
        yield from _of_column(name, verdict, rules.column(name, len(columns)))
    for key in ("prediction", "target"):
        if verdict := record.get(f"{key}_drift"):
            yield from _of_column(f"the {key}", verdict, rules.test(key))
    drifted = sum(bool(verdict["drifted"]) for verdict in columns.values())
    ratio = drifted / len(columns) if columns else 0.0
    if abs(ratio - record["drift_share"]) > CLOSE:
        yield (
            f"{drifted} of {len(columns)} columns drifted, the share says {record['drift_share']:g}"
        )
    yield from _thresholds(record, rules)
    yield from _decision(record, ratio, rules)


def _of_column(name: str, verdict: Mapping[str, Any], alpha: float | None) -> Iterator[str]:
    exceeded = {}
    for score in verdict["scores"]:
        method, value, limit = score["method"], score["score"], score["threshold"]
        wanted = EFFECTS.get(method, alpha)
        yield from _threshold(f"{method} of {name}", limit, wanted)
        beyond = value is not None and (
            value <= limit if score["kind"] == "p_value" else value >= limit
        )
        exceeded[method] = beyond
        if beyond != score["exceeded"]:
            yield f"{method} of {name} is {value}, its limit {limit:g}, and that is called " + (
                "exceeded" if score["exceeded"] else "not exceeded"
            )
    both = any(exceeded.get(test) and exceeded.get(effect) for test, effect in PAIRS.items())
    if both != bool(verdict["drifted"]):
        yield f"{name} is called {'' if verdict['drifted'] else 'not '}drifted, its scores say no"


def _thresholds(record: Record, rules: Rules) -> Iterator[str]:
    for name in ("correlation", "domain", "label"):
        scores = ((record.get("relations") or {}).get(name) or {}).get("scores") or {}
        for method, score in scores.items():
            wanted = EFFECTS.get(method, rules.test(name))
            yield from _threshold(method, score["threshold"], wanted)
    for rise in ((record.get("concept_drift") or {}).get("errors") or {}).values():
        minimum = NUMBER_RISE if "residual_drift" in rise else ERROR_RISE
        for method, score in rise["scores"].items():
            wanted = rules.test("concept")
            if method.endswith("_rise"):
                wanted = minimum
            elif method.endswith(f"_{NUMERIC}"):
                wanted = EFFECTS[NUMERIC]
            yield from _threshold(method, score["threshold"], wanted)


def _threshold(what: str, found: float, wanted: float | None) -> Iterator[str]:
    if wanted is not None and abs(found - wanted) > CLOSE + 1e-6 * wanted:
        yield f"the limit of {what} is {found:g}, it should be {wanted:g}"


def _decision(record: Record, ratio: float, rules: Rules) -> Iterator[str]:
    target = bool((record.get("target_drift") or {}).get("drifted"))
    relations = record.get("relations") or {}
    concept = bool((record.get("concept_drift") or {}).get("drifted")) or bool(
        (relations.get("label") or {}).get("drifted")
    )
    wide = ratio >= rules.alert_share
    retrain = ratio >= max(RETRAIN_RATIO, rules.alert_share) or (wide and (target or concept))
    found = {
        "columns": retrain or wide,
        "prediction": bool(record["prediction_drift"]["drifted"]),
        "target": target,
        "concept": concept,
        "relations": bool(relations.get("multivariate_drift")),
        "data": bool((record.get("quality") or {}).get("unreadable")),
    }
    wanted = "RETRAIN" if retrain else "ALERT" if any(found.values()) else "NO_ACTION"
    if record["decision"] != wanted:
        yield f"the decision is {record['decision']}, the scores ask for {wanted}"
    causes = {cause for cause, there in found.items() if there}
    if causes != set(record.get("causes") or ()):
        reported, found_ones = (
            ", ".join(sorted(which)) or "nothing" for which in (record.get("causes") or (), causes)
        )
        yield f"the decision stands on {reported}, the scores on {found_ones}"
