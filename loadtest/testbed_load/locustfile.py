"""What Locust loads; see :mod:`testbed_load.command` for how to start it."""

from __future__ import annotations

from locust import events

from testbed_load.control import Control
from testbed_load.planshape import PlanShape
from testbed_load.users import PredictionUser

__all__ = ["PlanShape", "PredictionUser"]

Control().register(events)
