"""Joins Locust's events with a playback: options, set-up, start, end, exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import gevent  # type: ignore[import-untyped]
from locust.runners import MasterRunner, WorkerRunner
from testbed_domain.callers import names_of
from testbed_domain.errors import DomainError

from testbed_load import webform, webguard
from testbed_load.arguments import SHOWN, add_options
from testbed_load.command import PLAN_VARIABLE
from testbed_load.errors import LoadError
from testbed_load.headers import read_headers
from testbed_load.master import Master
from testbed_load.options import check_host, plan_from_options
from testbed_load.plan import LoadPlan, read_plan
from testbed_load.planshape import PlanShape
from testbed_load.playback import Playback, freeze_memory, steady_clock
from testbed_load.traffic import TrafficSource, load_source
from testbed_load.truth import NoTruth, TruthSink, TruthWriter
from testbed_load.truthtable import write_table
from testbed_load.users import LabelPoster, PredictionUser
from testbed_load.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Response
    from locust.env import Environment
    from locust.event import EventHook, Events
    from locust.web import WebUI

    from testbed_load.telemetry import SpannedTruth

_EXIT_FAILED: Final = 1
_EXIT_COULD_NOT_RUN: Final = 2
_PROGRESS_SECONDS: Final = 5.0
# How long an early end waits for requests that are in flight.
_DRAIN_SECONDS: Final = 5.0


class Control:
    """What happens at Locust's events."""

    def __init__(self) -> None:
        self._environment: Environment
        self._source: TrafficSource
        self._headers: dict[str, str]
        self._plan: LoadPlan | None = None
        self._playback: Playback | None = None
        self._poster: LabelPoster | None = None
        self._master: Master | None = None
        self._worker: Worker | None = None
        self._table: Path | None = None
        self._spanned: SpannedTruth | None = None
        self._set_up = Event()
        self._starts = 0
        self._named_host = ""

    def register(self, events: Events) -> None:
        """Listen to Locust's events."""
        listeners: dict[EventHook, Callable[..., object]] = {
            events.init_command_line_parser: add_options,
            events.init: self._on_init,
            events.test_start: self._on_test_start,
            events.spawning_complete: self._on_spawning_complete,
            events.test_stopping: self._on_test_stopping,
            events.test_stop: self._on_test_stop,
            events.user_error: self._on_user_error,
        }
        for event, listener in listeners.items():
            event.add_listener(listener)  # type: ignore[no-untyped-call]  # untyped in Locust

    def _on_init(self, environment: Environment, web_ui: WebUI | None, **_: object) -> None:
        """Set up all that can fail, before anything is sent."""
        self._environment = environment
        # Failed requests are the verdict's business, not a reason to end with an error.
        environment.process_exit_code = 0
        environment.stop_timeout = _DRAIN_SECONDS
        logging.getLogger("locust.runners").addFilter(_concerns_a_living_user)
        options = vars(environment.parsed_options)
        try:
            runner = environment.runner
            if isinstance(runner, MasterRunner):
                workers = options["expect_workers"]
                self._master = Master(runner, workers, self._fail, web=web_ui is not None)
            plan_file = options["load_plan"]
            if plan_file:
                self._plan = read_plan(Path(plan_file))
            elif web_ui is None and not isinstance(runner, WorkerRunner):
                raise LoadError(f"without the web UI a plan is needed: set {PLAN_VARIABLE}")
            plan = self._plan or plan_from_options(options)
            self._headers = read_headers(options["key_file"])
            self._source = load_source(plan.artefact, plan.use_case)
            if isinstance(runner, WorkerRunner):
                self._worker = Worker(environment, runner, plan, self._source, self._headers)
                self._obey_signals()
                self._set_up.set()
                return
            if web_ui is None or options["autostart"]:
                check_host(options)
                self._prepare(plan)
            if web_ui is None:
                self._run_without_web_ui()
            elif web_ui.app is not None:
                self._named_host = str(options["host"] or "")
                webguard.install(web_ui.app, names_of(options["web_names"]))
                webform.install(web_ui.app)
                web_ui.app.before_request(self._start_from_web_form)
        except DomainError as error:
            sys.stderr.write(f"load: {error}\n")
            sys.exit(_EXIT_COULD_NOT_RUN)

    def _prepare(self, plan: LoadPlan) -> None:
        if self._playback is not None:
            raise LoadError("a load is running: stop it before you start another")
        options = vars(self._environment.parsed_options)
        if self._master is not None:
            self._master.require_workers()
        self._table = None
        truth = self._truth()
        if isinstance(truth, TruthWriter):
            self._table = truth.directory
        self._playback = (
            Playback(plan, self._source, truth, steady_clock())
            if self._master is None
            else self._master.prepare(plan, self._source, truth)
        )
        if endpoint := options["otlp_endpoint"]:  # of a plan that was refused, nothing would end it
            from testbed_load.telemetry import (  # noqa: PLC0415 - an SDK, and only where it is asked for
                SpannedTruth,
            )

            self._spanned = SpannedTruth(truth, plan, str(options["host"]), endpoint)
            self._playback.truth = self._spanned
        PredictionUser.playback = PlanShape.playback = self._playback
        PredictionUser.headers = self._headers
        PredictionUser.network_timeout = PredictionUser.connection_timeout = plan.timeout

    def _truth(self) -> TruthSink:
        options = self._environment.parsed_options
        if options is None or not options.truth_dir:
            return NoTruth()
        directory = Path(options.truth_dir)
        if self._environment.web_ui is not None:
            directory /= f"start-{len(list(directory.glob('start-*'))) + 1:03d}"
        return TruthWriter(directory)

    def _run_without_web_ui(self) -> None:
        logging.getLogger("locust.stats_logger").disabled = True  # this module prints a summary
        self._obey_signals()
        Thread(target=self._show_progress, daemon=True).start()

    def _obey_signals(self) -> None:
        """Locust handles these only once the shape has ended."""
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        """End early and in order; a second interrupt ends at once."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if self._master is not None and self._master.waits:  # Locust sees to nothing else then
            sys.stderr.write("load: interrupted before its workers came; nothing was sent\n")
            sys.exit(_EXIT_COULD_NOT_RUN)
        gevent.spawn(self._stop)  # a handler may run where nothing can wait or be sent

    def _stop(self) -> None:
        for each in (self._master, self._worker, self._playback):
            if each is not None:
                each.stop()
                return

    def _show_progress(self) -> None:
        sent, since = 0, 0.0
        while (playback := self._playback) is not None:
            now = playback.elapsed
            if now > 0:
                phase = playback.plan.phase_at(now) or playback.plan.phases[-1]
                rate = (playback.tally.sent - sent) / (now - since)
                sent, since = playback.tally.sent, now
                _say(playback.tally.progress(now, phase.name, rate))
            time.sleep(_PROGRESS_SECONDS)

    def _start_from_web_form(self) -> Response | None:
        """Prepare what the web UI is about to start; the page shows the error if it can't be.

        Locust asks the shape before it reports the start, so the start itself would be too late.
        """
        from flask import jsonify, request  # noqa: PLC0415 - only where there is a web UI

        if request.method != "POST" or not request.path.endswith("/swarm"):
            return None
        form = request.form.to_dict()
        values = vars(self._environment.parsed_options) | form
        try:
            webguard.check_form(form, SHOWN, self._named_host)
            check_host(values)
            self._starts += 1
            run_id = f"web-{os.getpid()}-{self._starts}"
            plan = self._plan or plan_from_options(values, run_id)
            self._prepare(plan)
            _say(f"load: {run_id} with seed {plan.seed}")
        except LoadError as error:
            answer = {"success": False, "message": str(error), "host": self._environment.host}
            return jsonify(answer)
        return None

    def _on_test_start(self, environment: Environment, **_: object) -> None:
        environment.host = (environment.host or "").rstrip("/")  # paths begin with a slash
        if getattr(environment.parsed_options, "worker", False):
            self._set_up.wait()  # the master may start the test before there is even a runner
            if self._worker is not None:
                self._worker.prepare()
        if self._playback is not None and self._master is None:
            self._poster = LabelPoster(environment, self._playback, self._headers)

    def _on_spawning_complete(self, **_: object) -> None:
        if self._master is not None:
            self._master.begin()
        elif self._playback is not None:
            freeze_memory()
            self._playback.begin()

    def _on_test_stopping(self, **_: object) -> None:
        self._stop()

    def _on_test_stop(self, **_: object) -> None:
        """Complete the truth, once."""
        playback, self._playback = self._playback, None
        if playback is None:
            return
        if self._poster is not None:
            self._poster.finish()
        if self._master is not None:
            self._master.check()
        playback.finish()
        self._write_table()
        if self._environment.web_ui is None:
            _say(playback.tally.summary(playback.missed))
            if self._spanned is not None:
                _say(f"telemetry  {self._spanned.summary}")
            self._evaluate(playback.tally.fail_ratio)

    def _evaluate(self, ratio: float) -> None:
        """End with 1 where more requests failed than may, or all of them."""
        options = vars(self._environment.parsed_options)
        limit = options["max_fail_ratio"]
        if limit is None or self._environment.process_exit_code:
            return
        if ratio >= 1 or ratio > float(limit):
            self._environment.process_exit_code = _EXIT_FAILED
            _say(
                f"failed     {ratio:.1%} of the requests: more than {float(limit):.1%}"
                if ratio > float(limit)
                else "failed     every request"
            )

    def _write_table(self) -> None:
        """The lines are the truth; where its table can't be written, one line says so."""
        if self._table is None:
            return
        try:
            write_table(self._table, self._source.schema)
        except LoadError as error:
            sys.stderr.write(f"load: {error}\n")

    def _on_user_error(self, exception: Exception, **_: object) -> None:
        """A user met what it didn't expect: the truth can't be trusted any more, so end."""
        if self._worker is None:
            self._fail(f"a user failed: {exception!r}")
        else:
            self._worker.user_failed(exception)

    def _fail(self, reason: str) -> None:
        """The truth can't be complete any more: say why, and end."""
        self._environment.process_exit_code = _EXIT_COULD_NOT_RUN
        sys.stderr.write(f"load: {reason}\n")
        if self._playback is not None:
            self._playback.stop()


def _concerns_a_living_user(record: logging.LogRecord) -> bool:
    """Locust calls it an error to stop a user that has ended by itself, as ours do."""
    return "didn't have proper args" not in str(record.msg)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
