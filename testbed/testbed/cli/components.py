"""``testbed train``, ``serve``, ``load``: the components alone."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from testbed_drift.cli.bundles import taking
from testbed_load.arrivals import Arrivals
from testbed_load.command import locust_command, master_command, output_options
from testbed_load.drifts import DRIFTS
from testbed_load.options import new_seed
from testbed_load.profiles import PROFILES, profile
from testbed_load.shapetext import EXAMPLE, FORM_EXAMPLE, parse_form, parse_shape
from testbed_otel.masking import mask

from testbed.cli import completion
from testbed.cli.common import (
    OWN_DATA,
    USE_CASE_HELP,
    listening_address,
    management_token,
)
from testbed.cli.log import default_log
from testbed.console import out, say
from testbed.errors import UsageError
from testbed.owndata import OwnData
from testbed.settings import Settings, load_settings, trace_ratio
from testbed.wordtable import WordTable

DEFAULT_USE_CASE = "diabetes"
ChosenUseCase = Annotated[
    str | None,
    typer.Option("--use-case", help=USE_CASE_HELP, autocompletion=completion.use_cases),
]


def _chosen(use_case: str | None, target: str | None, settings: Settings) -> str:
    from testbed.usecasechoice import name_use_case

    return name_use_case(use_case, target, settings, DEFAULT_USE_CASE)


@taking(own=OWN_DATA)
def train(
    *,
    use_case: ChosenUseCase = None,
    own: OwnData,
    folder: Annotated[
        Path | None,
        typer.Option("--out", help="Folder of this model; default: below .testbed/models."),
    ] = None,
    skops: Annotated[
        bool, typer.Option("--skops", help="Store the scikit-learn model too (an extra).")
    ] = False,
) -> None:
    """Train the model of a use case and export it to ONNX.

    Examples:

      testbed train --use-case diabetes

      testbed train --use-case diabetes --data diabetes.csv

      testbed train --use-case any --data mine.parquet --target bought

      testbed train --use-case any --data mine.csv --target bought --decimal , --as zip=category

      testbed train --data houses.csv --target price    # a number: a regression
    """
    from testbed.usecasechoice import train_model

    settings = load_settings()
    artefact = train_model(
        settings, _chosen(use_case, own.target, settings), own, say, folder, skops=skops, again=True
    )
    table = WordTable("metric", ">test split")
    for name, value in artefact.metrics.items():
        table.add_row(name, f"{value:.4f}")
    out.print(table)
    out.print(f"model     {artefact.name} {artefact.version}", highlight=False)
    out.print(f"data      {'synthetic' if artefact.synthetic else 'real'}", highlight=False)
    out.print(f"artefact  {artefact.path}", highlight=False)


def _text(value: object) -> str:
    """A setting as the environment has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


@taking(own=OWN_DATA)
def serve(
    *,
    use_case: ChosenUseCase = None,
    own: OwnData,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; default: 127.0.0.1.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of the predictions; default: 8000.")
    ] = None,
    management_port: Annotated[
        int | None, typer.Option(help="Port of metrics and health; default: 9464.")
    ] = None,
    replicas: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Processes behind the port; management ports count up. SIGHUP restarts one after "
            "another without losing a request. Default: 1.",
        ),
    ] = None,
    otlp_endpoint: Annotated[
        str | None, typer.Option(help="Base URL of an OTLP/HTTP receiver; default: none.")
    ] = None,
    log_url: Annotated[
        str | None,
        typer.Option(help="SQLAlchemy URL of the prediction log, or none; default: SQLite."),
    ] = None,
    challenger: Annotated[
        Path | None, typer.Option(help="Artefact of a second model, served beside the first.")
    ] = None,
    split: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the requests that the challenger answers."),
    ] = None,
    shadow: Annotated[
        bool | None,
        typer.Option("--shadow", help="Let the challenger predict all, unseen."),
    ] = None,
    faults: Annotated[
        bool | None,
        typer.Option("--faults", help="Offer the fault control on the management port."),
    ] = None,
) -> None:
    """Start the prediction service alone, in the foreground.

    Examples:

      testbed serve --use-case diabetes

      testbed serve --replicas 2

      testbed serve --use-case iris --port 8100 --management-port 9500 --log-url none

      testbed serve --challenger .testbed/models/candidate --split 0.1 --shadow
    """
    from testbed_domain.artefact import load_artefact
    from testbed_domain.logstore import open_log
    from testbed_otel.standard import ENDPOINT, NO_ENDPOINT, pushes_nowhere

    from testbed.usecasechoice import train_model

    if challenger is None and (split or shadow):
        raise UsageError("--split and --shadow need a --challenger")
    settings = load_settings()
    artefact = train_model(settings, _chosen(use_case, own.target, settings), own, say)
    settings.home.mkdir(parents=True, exist_ok=True)
    given = {
        "TESTBED_API_HOST": host,
        "TESTBED_API_PORT": port,
        "TESTBED_API_MANAGEMENT_PORT": management_port,
        "TESTBED_API_LOG_URL": log_url,
        "TESTBED_API_FAULTS_ENABLED": faults,
        "TESTBED_API_REPLICAS": replicas,
        "TESTBED_API_CHALLENGER": challenger and load_artefact(challenger).path.resolve(),
        "TESTBED_API_SPLIT": split,
        "TESTBED_API_SHADOW": shadow,
        ENDPOINT: otlp_endpoint,
    }
    # What no option says comes from the environment, then from a default.
    environment = dict(os.environ) | {k: _text(v) for k, v in given.items() if v is not None}
    environment["TESTBED_API_ARTEFACT"] = str(artefact.path.resolve())
    if pushes_nowhere(environment):
        environment[ENDPOINT] = NO_ENDPOINT
    token = environment.setdefault(
        "TESTBED_API_MANAGEMENT_TOKEN_FILE", str(management_token(settings.home))
    )
    # Trained models and those of a retraining lie there.
    environment.setdefault("TESTBED_API_ARTEFACT_FOLDERS", str(settings.home.resolve()))
    url = environment.setdefault(
        "TESTBED_API_LOG_URL", settings.log_url or default_log(settings.home)
    )
    if url != "none":
        with closing(open_log(url)) as log:
            log.register_reference(artefact)
    if sys.stderr.isatty():  # people read it: lines of text
        environment.setdefault("TESTBED_API_LOG_FORMAT", "text")
    # Where it answers, the service says by itself once it does.
    say(f"serve: {artefact.name} {artefact.version}")
    say(f"serve: changes on the management port need the token in {token}")
    # The replica (or the supervisor of several) is this very process from here on: signals reach
    # it, its exit code is ours.
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "testbed_api"], environment)  # noqa: S606 - our own interpreter


def load(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="PROFILE",
            help=f"One of {', '.join(PROFILES)}; default: drifted with --drift, else normal.",
            autocompletion=completion.profiles,
        ),
    ] = None,
    *,
    host: Annotated[str, typer.Option(help="Base URL of the service.")] = "http://127.0.0.1:8000",
    requests: Annotated[
        int | None, typer.Option("--requests", "-n", min=1, help="End after so many requests.")
    ] = None,
    users: Annotated[
        int | None, typer.Option(min=1, help="Users that send once they are answered: closed load.")
    ] = None,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds that each of --users thinks after an answer.")
    ] = 0.0,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Requests per second.")] = None,
    duration: Annotated[float, typer.Option(min=1, help="Seconds, without --requests.")] = 30.0,
    shape: Annotated[
        str | None,
        typer.Option(help=f"A rate that changes over the duration, as '{EXAMPLE}'."),
    ] = None,
    arrivals: Annotated[
        Arrivals, typer.Option(help="Evenly spaced, or drawn as a Poisson process.")
    ] = "even",
    drift: Annotated[
        str | None,
        typer.Option(
            help=f"What drifts: one of {', '.join(DRIFTS)}; of the profile drifted, default: "
            "covariate_shift.",
            autocompletion=completion.drifts,
        ),
    ] = None,
    severity: Annotated[float, typer.Option(min=0, help="Size of the drift.")] = 1.0,
    column: Annotated[
        str | None, typer.Option(help="The column that a drift of one column moves.")
    ] = None,
    form: Annotated[str | None, typer.Option(help=f"When rows drift, as '{FORM_EXAMPLE}'.")] = None,
    use_case: ChosenUseCase = None,
    artefact: Annotated[
        Path | None, typer.Option(help="Model artefact whose rows are sent; default: generator.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of traffic, drift, labels; default: another each time."),
    ] = None,
    fail_ratio: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="Exit 1 where a larger share of the requests fails; 1: only where all fail.",
        ),
    ] = 1.0,
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that send: one uses one processor.")
    ] = 1,
    bind: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS:PORT",
            help="Let --processes on other hosts send: `testbed load-worker` asks here.",
        ),
    ] = None,
    otlp_endpoint: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Send a span of each request whose trace is stored, and durations, to this "
            "OTLP/HTTP receiver.",
        ),
    ] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Store the truth here.")] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="PREFIX", help="Locust's statistics, as PREFIX_stats.csv and others."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Locust's report as a page.")
    ] = None,
) -> None:
    """Send traffic to a running service and say what came back.

    Exit 1 where no request succeeded, or more failed than --fail-ratio.

    Examples:

      testbed load burst --requests 100

      testbed load drifted --host http://127.0.0.1:8000 --rate 50 --duration 60

      testbed load normal --users 20 --wait 0.5 --arrivals poisson

      testbed load --drift swapped_unit --column BMI --form 'gradual end=0.8'

      testbed load normal --csv reports/load --html reports/load.html

      testbed load normal --shape 'spike base=20 peak=200' --arrivals poisson --duration 120

      testbed load normal --rate 1500 --processes 3

      testbed load normal --otlp-endpoint http://127.0.0.1:4318
    """
    from testbed_domain.artefact import load_artefact
    from testbed_load.plan import write_plan

    from testbed.stack.environments import base_environment

    if sum(each is not None for each in (users, rate, shape)) > 1:
        raise UsageError("give one of --users, --rate and --shape")
    name = name or ("normal" if drift is None else "drifted")
    if drift is not None and name in PROFILES and not PROFILES[name].drifted:
        raise UsageError(f"--drift {drift} needs the profile drifted: {name} drifts nothing")
    further = output_options(csv, html, otlp_endpoint)
    address = None if bind is None else listening_address(bind, "--bind")
    settings = load_settings()
    now = datetime.now(UTC)
    run_id = f"{now:%Y%m%dT%H%M%S%f}-{name}"
    target = (folder or settings.loads / run_id).resolve()
    if seed is None:
        seed = new_seed()
    plan = profile(
        name,
        use_case=_chosen(use_case, None, settings),
        artefact=load_artefact(artefact).path.resolve() if artefact else None,
        seed=seed,
        rate=rate,
        users=users,
        wait=wait,
        requests=requests,
        duration=duration,
        drift=drift or "covariate_shift",
        severity=severity,
        column=column,
        form=parse_form(form) if form else None,
        run_id=run_id,
        shape=parse_shape(shape) if shape else None,
        arrivals=arrivals,
        trace_ratio=trace_ratio(settings),
    )
    target.mkdir(parents=True, exist_ok=True)
    write_plan(target / "load-plan.json", plan)
    say(f"load: seed {seed}; the truth is written to {target}")
    # Locust is this very process from here on: it prints progress and summary, and obeys Ctrl-C.
    file = target / "load-plan.json"
    if address is None:
        command = locust_command(
            file, target, host, processes=processes, fail_ratio=fail_ratio, further=further
        )
    else:
        say(
            f"load: waiting for {processes} times: testbed load-worker {bind} --plan {file.name} "
            f"--host {mask(host)}, each with a copy of {file}"
        )
        command = master_command(
            file,
            target,
            host,
            bind=address,
            workers=processes,
            fail_ratio=fail_ratio,
            further=further,
        )
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())  # Locust would read keys from a terminal
    os.execve(command[0], command, base_environment())  # noqa: S606 - this interpreter


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(train)
    app.command()(serve)
    app.command()(load)
