"""Presets of a service: how the usual model servers are asked, and what counts their requests.

Each is a kind of its own, whose every field can still be set.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field, model_validator
from testbed_load.exchange import ReplyPaths, RequestTemplate

from testbed.facts.servicecounts import CountedSeries
from testbed.targets.base import TARGETS
from testbed.targets.http import HttpService
from testbed.targets.servicefields import MetricsEndpoint

V2_BODY: Final = {
    "inputs": [{"name": "predict", "shape": [1, "{count}"], "datatype": "FP32", "data": "{values}"}]
}


class _ModelServer(HttpService):
    """A server whose path and counters bear the name of a model."""

    model: str = Field("model", description="Name of the model that is asked.")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:  # noqa: ANN401 - YAML
        if not isinstance(given, dict):
            return given
        usual = cls.usual(str(given.get("model", cls.model_fields["model"].default)))
        return usual | given

    @classmethod
    def usual(cls, model: str) -> dict[str, Any]:
        """Fields that depend on the model's name."""
        raise NotImplementedError


@TARGETS.register
class OpenInferenceService(_ModelServer):
    """A server of the open inference protocol, version 2: MLServer, Triton, KServe.

    The counters are MLServer's, of all its models together; those of Triton have other names, for
    ``counts`` and ``metrics``.
    """

    kind: Literal["openinference-v2"] = "openinference-v2"  # type: ignore[assignment] # narrows
    service: str = "openinference"
    ready: str = "/v2/health/ready"
    ports: tuple[str, ...] = ("http", "metrics")
    metrics: tuple[MetricsEndpoint, ...] = (MetricsEndpoint(port="metrics"),)

    @classmethod
    def usual(cls, model: str) -> dict[str, Any]:
        """MLServer's counters."""
        route = '{path="/v2/models/{model_name}/infer"'
        return {
            "request": RequestTemplate(path=f"/v2/models/{model}/infer", body=V2_BODY),
            "reply": ReplyPaths(prediction="$.outputs[0].data[0]", id="$.id"),
            "counts": CountedSeries(
                requests=f"rest_server_requests_total{route}}}",
                errors=f'rest_server_requests_total{route},status_code=~"5.."}}',
                latency=f"rest_server_request_duration_seconds_count{route}}}",
            ),
        }


@TARGETS.register
class BentoService(_ModelServer):
    """A BentoML service; ``model`` is the name of its API method."""

    kind: Literal["bentoml"] = "bentoml"  # type: ignore[assignment] # narrows
    service: str = "bentoml"
    model: str = Field("predict", description="Name of the API method that is asked.")
    ready: str = "/readyz"

    @classmethod
    def usual(cls, model: str) -> dict[str, Any]:
        """One counter and one histogram of all its methods."""
        method = f'{{endpoint="/{model}"'
        return {
            "request": RequestTemplate(path=f"/{model}", body={"rows": ["{values}"]}),
            "reply": ReplyPaths(prediction="$[0]"),
            "counts": CountedSeries(
                requests=f"bentoml_service_request_total{method}}}",
                errors=f'bentoml_service_request_total{method},http_response_code=~"5.."}}',
                latency=f"bentoml_service_request_duration_seconds_count{method}}}",
            ),
        }


@TARGETS.register
class MlflowService(HttpService):
    """MLflow's model server (``mlflow models serve``), which has no metrics of its own."""

    kind: Literal["mlflow"] = "mlflow"  # type: ignore[assignment] # narrows
    service: str = "mlflow"
    ready: str = "/ping"
    metrics: tuple[MetricsEndpoint, ...] = ()
    request: RequestTemplate = RequestTemplate(
        path="/invocations",
        body={"dataframe_split": {"columns": "{columns}", "data": ["{values}"]}},
    )
    reply: ReplyPaths = ReplyPaths(prediction="$.predictions[0]")


@TARGETS.register
class InstrumentatorService(HttpService):
    """A FastAPI service with prometheus-fastapi-instrumentator, in its usual settings."""

    kind: Literal["fastapi-instrumentator"] = "fastapi-instrumentator"  # type: ignore[assignment] # narrows
    service: str = "fastapi"
    ready: str = "/docs"
    reply: ReplyPaths = ReplyPaths(prediction="$.prediction")
    counts: CountedSeries = CountedSeries(
        requests='http_requests_total{handler="/predict"}',
        errors='http_requests_total{handler="/predict",status="5xx"}',
        latency='http_request_duration_seconds_count{handler="/predict"}',
    )
