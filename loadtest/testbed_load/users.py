"""The Locust user that sends predictions, and the poster of their labels."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, ClassVar, Final

from locust import FastHttpUser, task
from locust.contrib.fasthttp import FastHttpSession
from locust.exception import StopUser

from testbed_load import replies
from testbed_load.errors import LoadError
from testbed_load.headertemplates import FilledHeaders

if TYPE_CHECKING:
    from locust.contrib.fasthttp import ResponseContextManager
    from locust.env import Environment

    from testbed_load.exchange import Exchange
    from testbed_load.labels import DelayedLabel
    from testbed_load.labeltemplate import LabelTemplate
    from testbed_load.playback import Job, Playback

LABELS: Final = "/labels"

# A server closes idle connections at a time of its own (uvicorn after 5 s). A request that meets
# that moment is lost through no fault of the service, so none goes over a connection idle so long.
_IDLE_SECONDS: Final = 2.0
_LABEL_INTERVAL: Final = 0.25


class PredictionUser(FastHttpUser):
    """Sends the request that is due next, again and again.

    Locust makes the users itself; what they share therefore stands on the class, and
    :mod:`testbed_load.control` sets it before each start.
    """

    playback: ClassVar[Playback]
    headers: ClassVar[dict[str, str]]

    concurrency = 1
    max_retries = 0
    max_redirects = 0

    def on_start(self) -> None:
        """Locust calls this as the user begins."""
        self._job: Job | None = None
        self._free_at: float | None = None
        self.playback.join()

    def on_stop(self) -> None:
        """Locust calls this as the user ends."""
        self.playback.leave()

    def wait_time(self) -> float:
        """Claim the next request and return to Locust how long to wait for it.

        Locust counts a user as waiting meanwhile, so a stop need not wait for it.
        """
        self._job = self.playback.claim(id(self))
        if self._job is None:
            raise StopUser
        return max(0.0, self._job.due - self.playback.clock())

    @task
    def predict(self) -> None:
        """Send the claimed request and keep what became of it, whatever that is."""
        job, self._job = self._job, None
        # Locust runs a task before it waits for the first time, and a user whose time comes while
        # Locust stops the users may still get here before it is stopped.
        if job is None or self.playback.stopped:
            return
        sent_at = self.playback.clock()
        if self._free_at is not None and sent_at - self._free_at > _IDLE_SECONDS:
            self.client.client.clientpool.close()
        reply = replies.GIVEN_UP
        try:
            exchange = self.playback.exchange
            own = exchange.headers(job.request_id)
            headers = {**self.headers, **own, **job.headers}
            with self.client.request(
                exchange.method,
                exchange.path(job.features, job.request_id),
                name=exchange.name,
                data=job.body,
                headers=headers,
                catch_response=True,
            ) as response:
                reply = _reply(response, exchange, job.request_id)
                if reply.problem is not None:
                    response.failure(reply.problem)
        finally:
            self.playback.record(job, sent_at, reply, self._free_at)
            self._free_at = self.playback.clock()


def _reply(response: ResponseContextManager, exchange: Exchange, request_id: str) -> replies.Reply:
    error = response.request_meta["exception"]
    if response.status_code and response.content is not None and not _broken(error):
        return exchange.read(response.status_code, response.content, request_id)
    return replies.failed(error)


def _broken(error: BaseException | None) -> bool:
    """Whether the answer's body did not come whole; a bad status alone isn't that."""
    return error is not None and not hasattr(error, "code")


class LabelPoster:
    """Posts labels as they become due, until :meth:`finish`.

    The bundled API gets them in batches, a service one after the other, as its template says.
    """

    def __init__(
        self, environment: Environment, playback: Playback, headers: dict[str, str]
    ) -> None:
        self._playback = playback
        self._headers = headers
        service = playback.plan.service
        told = {} if service is None or service.labels is None else service.labels.headers
        self._own = FilledHeaders(told, os.environ)
        self._ending = Event()
        self._client = FastHttpSession(
            environment.host,
            environment.events.request,
            user=None,
            network_timeout=playback.plan.timeout,
            connection_timeout=playback.plan.timeout,
            max_retries=0,
            max_redirects=0,
        )
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Post what is left, delay or not; give up when the service doesn't answer."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        clock, labels = self._playback.clock, self._playback.labels
        while not self._ending.wait(_LABEL_INTERVAL):
            while batch := labels.take(clock()):
                self._post(batch)
        while (batch := labels.take(float("inf"))) and self._post(batch):
            pass

    def _post(self, batch: list[DelayedLabel]) -> bool:
        """Whether the service answered to the last that could be sent."""
        service = self._playback.plan.service
        if service is None or service.labels is None:
            return self._post_together(batch)
        answers = True
        for item in batch:
            sent_at = self._playback.clock()
            status: int | None = None
            # An id is what the service answered: not each can stand in a request.
            with suppress(LoadError, ValueError):
                status = self._post_label(service.labels, item)
                answers = status is not None
            self._playback.truth.labels(sent_at, status, (item.seq,))
        return answers

    def _post_label(self, template: LabelTemplate, item: DelayedLabel) -> int | None:
        path, body = template.request(item.prediction_id, item.label)
        response = self._client.request(
            template.method,
            path,
            name=template.path,
            data=body,
            headers={**self._headers, **self._own.of(item.prediction_id)},
        )
        return response.status_code or None

    def _post_together(self, batch: list[DelayedLabel]) -> bool:
        body = [{"prediction_id": item.prediction_id, "label": item.label} for item in batch]
        sent_at = self._playback.clock()
        response = self._client.post(
            LABELS,
            data=json.dumps({"labels": body}),
            headers=self._headers,
        )
        status: int | None = response.status_code or None
        self._playback.truth.labels(sent_at, status, [item.seq for item in batch])
        return status is not None
