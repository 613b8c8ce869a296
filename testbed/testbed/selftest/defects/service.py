"""What is wrong with a service of its user's own, and with what its file says of it."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from testbed.checks.stages import Stage
from testbed.selftest.defect import Defect
from testbed.selftest.defects.notifications import BROUGHT
from testbed.targets.http import HttpService

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.runoptions import RunOptions

SHOP: Final[dict[str, Any]] = {
    "service": "shop",
    "command": (sys.executable, "-m", "testbed.selftest.service"),
    "ready": "/health",
    "rules": "shop",
    "request": {"path": "/predict", "body": "{row}"},
    "reply": {"prediction": "$.diabetic", "probability": "$.confidence"},
    "counts": {
        "requests": "shop_requests_total",
        "errors": 'shop_requests_total{status="500"}',
    },
    "reference_rows": 500,
}


def _shop(
    name: str,
    what: str,
    culprit: Stage,
    *,
    rule: str | None = None,
    refused: str | None = None,
    **otherwise: object,
) -> Defect:
    """A defect of such a run.

    Args:
        name: unique.
        what: is wrong.
        culprit: the link that must be named first.
        rule: what stands in its rule in place of the status 500.
        refused: words with which the run must be refused.
        otherwise: fields of its file that are wrong.
    """

    def brings(options: RunOptions, folder: Path) -> RunOptions:
        rules = folder / "shop"
        rules.mkdir(parents=True)
        shutil.copy(BROUGHT / "shop.yml", rules)
        if rule is not None:
            text = (rules / "shop.yml").read_text(encoding="utf-8")
            (rules / "shop.yml").write_text(text.replace('status="500"', rule), encoding="utf-8")
        return replace(options, target=HttpService(**{**SHOP, **otherwise}).placed(folder))

    return Defect(name, what, "quick-service", (culprit,), brings=brings, refused=refused)


_MISNAMED: Final = {"path": "/predict", "body": {"Glucose": "{Glucose}", "bmi": "{BMI}"}}
NO_PREDICTION: Final = "can't be compared with a reference"

SERVICE: Final = (
    _shop("service-rule-broken", "The service's rule asks for a status that it never gives.",
          Stage.RULE, rule='status="5OO"'),
    _shop("service-counter-lies", "The service's counter misses one request in thirty.",
          Stage.INSTRUMENT, environment={"LIES": "1"}),
    _shop("service-counter-other", "The file names a counter that the service does not have.",
          Stage.INSTRUMENT, counts={"requests": "shop_request_total"}),
    _shop("service-request-wrong", "The request template misnames a column.", Stage.SERVICE,
          request=_MISNAMED, refused=NO_PREDICTION),
    _shop("service-request-unread", "The same, of a service whose answers nobody reads.",
          Stage.SERVICE, request=_MISNAMED, reply={}),
    _shop("service-reply-nowhere", "The reply path leads nowhere.", Stage.SERVICE,
          reply={"prediction": "$.class"}, refused=NO_PREDICTION),
    _shop("service-reply-other", "The reply path leads to what is no class.", Stage.SERVICE,
          reply={"prediction": "$.confidence"}, refused=NO_PREDICTION),
)  # fmt: skip
