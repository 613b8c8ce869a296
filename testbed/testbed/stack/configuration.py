"""Native configuration: the files that Compose mounts, with local ports and scaled durations.

There is one source. What differs natively is the address of each component, the Collector's queue
directory, every duration, the components that a run leaves out, and e-mail, where it is wanted.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from testbed_domain.files import write_atomic
from testbed_rules.rulefiles import read_rules
from testbed_rules.runbooks import with_runbooks
from testbed_rules.scaling import scaled_rules
from testbed_rules.timescale import TimeScale, Tree, parse_duration

from testbed.errors import UsageError
from testbed.heartbeat import RECEIVER
from testbed.layout import RunLayout
from testbed.stack.jobnames import with_job_names
from testbed.stack.links import ways
from testbed.stack.trees import read_tree, write_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from testbed.stack.ownalertmanager import OwnAlertmanager
    from testbed.stack.ownprometheus import OwnPrometheus


_TRACE_VIEWER: Final = "jaeger:4318"
_TRACE_EXPORTER: Final = "otlp_http/traces"
_METRIC_EXPORTER: Final = "otlp_http/prometheus"
_SINK: Final = "receiver:9080"
SINK_EXPORTER: Final = "otlp_http/receiver"
"""What sends spans and log records to the receiver, which keeps them in the run."""
_PROMETHEUS: Final = "prometheus:9090"
_GRPC: Final = "collector:4317"
_SIGNALS: Final = ("metrics", "traces", "logs")
_ANY_HOST: Final = "0.0.0.0"  # noqa: S104 - what the Compose file says; native mode replaces it


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """The SMTP server by which alerts go out as e-mail.

    Attributes:
        host: server as ``host:port``.
        sender: address that the mail comes from.
        receiver: address that it goes to.
        user: name to log in with; None for a server without login.
        password: its password.
        tls: whether the server must offer STARTTLS.
    """

    host: str
    sender: str
    receiver: str
    user: str | None = None
    password: str | None = None
    tls: bool = True

    def __post_init__(self) -> None:
        if not re.fullmatch(r".+:\d+", self.host):
            raise UsageError(f"the SMTP server {self.host!r} has no port: write host:port")


@dataclass(frozen=True, slots=True)
class NativeConfiguration:
    """Rendered files of one run.

    Attributes:
        prometheus: ``prometheus.yml``.
        rules: folder of the scaled rules.
        alertmanager: ``alertmanager.yml``.
        collector: ``collector.yaml``.
        targets: scrape targets of the API's replicas, for :func:`write_api_targets`.
        scrape_interval: real seconds.
        evaluation_interval: real seconds.
        intake: id that telemetry must bring along, as the first part of its path, to be taken in;
            empty demands none.
        own_jobs: scrape jobs of the user's own configuration of Prometheus.
    """

    prometheus: Path
    rules: Path
    alertmanager: Path
    collector: Path
    targets: Path
    scrape_interval: float
    evaluation_interval: float
    intake: str = ""
    own_jobs: tuple[str, ...] = ()


def render_native(  # noqa: PLR0913 - the ways in which a run may differ
    layout: RunLayout,
    *,
    source: Path,
    endpoints: Mapping[str, str],
    factor: float,
    rules: Path | None = None,
    without: frozenset[str] = frozenset(),
    api_targets: Sequence[tuple[str, str]] = (),
    smtp: SmtpSettings | None = None,
    gate: str | None = None,
    queue_size: int | None = None,
    intake: str = "",
    scrapes: Sequence[Tree] = (),
    own: OwnAlertmanager | None = None,
    own_prometheus: OwnPrometheus | None = None,
    runbook: Callable[[str], str] = str,
    job_names: str = "",
) -> NativeConfiguration:
    """Write the configuration of every component into ``layout.config``.

    Args:
        layout: the run.
        source: folder that holds ``prometheus/``, ``alertmanager/``, ``otel/`` and ``grafana/``.
        endpoints: Compose address to ``127.0.0.1:port``; with ``jaeger:4318``, traces go there.
        factor: time scale.
        rules: folder of rule files in place of the project's.
        without: components that the run leaves out.
        api_targets: management address and ``service.instance.id`` of each replica.
        smtp: e-mail, if any.
        gate: address to which the Collector exports in place of Prometheus's own.
        queue_size: exports that the Collector's queue to Prometheus holds, in place of the file's.
        intake: id that telemetry must bring along to be taken in; empty demands none.
        scrapes: more scrape jobs of Prometheus, in Compose addresses.
        own: the user's configuration of Alertmanager, in place of the project's.
        own_prometheus: the user's configuration of Prometheus, joined with the project's.
        runbook: gives the link to a runbook for the relative one of a rule.
        job_names: system whose names scrape jobs have as well; empty for none.

    Raises:
        UsageError: a rules file can't be read or scaled.
    """
    scale, config = TimeScale(factor), layout.config
    shipped = with_job_names(read_tree(source / "prometheus/prometheus.yml"), job_names, scrapes)
    scraping = with_more_jobs(shipped, scrapes)
    prometheus = scale.prometheus(
        prometheus_tree(
            own_prometheus.joined(scraping) if own_prometheus else scraping,
            endpoints,
            without,
            intake,
        )
    )
    alertmanager = scale.alertmanager(
        alertmanager_tree(
            read_tree(source / "alertmanager/alertmanager.yml"),
            ways("alertmanager", endpoints),
            without,
        )
    )
    if own:
        alertmanager = own.render(layout, scale, endpoints)
    elif smtp:
        alertmanager = with_email(alertmanager, smtp, config / "smtp-password")
        write_atomic(config / "smtp-password", smtp.password or "", mode=0o600)
    exporting = ways("collector", endpoints) | ({} if gate is None else {_PROMETHEUS: gate})
    collector = scale.collector(
        collector_tree(
            read_tree(source / "otel/collector.yaml"),
            exporting,
            layout.data / "collector",
            without,
            intake,
        )
    )
    if queue_size is not None:
        collector["exporters"][_METRIC_EXPORTER]["sending_queue"]["queue_size"] = queue_size
    intervals = prometheus["global"]
    native = NativeConfiguration(
        prometheus=config / "prometheus.yml",
        rules=config / "rules",
        alertmanager=config / "alertmanager.yml",
        collector=config / "collector.yaml",
        targets=config / "targets/api.json",
        scrape_interval=parse_duration(intervals["scrape_interval"]),
        evaluation_interval=parse_duration(intervals["evaluation_interval"]),
        intake=intake,
        own_jobs=own_prometheus.jobs(scraping) if own_prometheus else (),
    )
    files = {native.prometheus: prometheus, native.alertmanager: alertmanager}
    files[native.collector] = collector
    write_files(config, source, files, scale=scale, rules=rules, runbook=runbook)
    write_api_targets(native.targets, api_targets)
    return native


def write_files(
    config: Path,
    source: Path,
    trees: Mapping[Path, Tree],
    *,
    scale: TimeScale,
    rules: Path | None = None,
    runbook: Callable[[str], str] = str,
) -> None:
    """Write the configuration of the tools, and beside it templates, dashboards and scaled rules.

    Args:
        config: folder to write into.
        source: folder of the originals.
        trees: file to its content.
        scale: of the rules.
        rules: folder of rule files in place of the project's.
        runbook: gives the link to a runbook for the relative one of a rule.

    Raises:
        UsageError: a rules file can't be read or scaled.
    """
    for path, tree in trees.items():
        write_yaml(path, tree)
    for template in sorted((source / "alertmanager/templates").glob("*.tmpl")):
        write_atomic(config / "templates" / template.name, template.read_bytes())
    for board in sorted((source / "grafana/dashboards").glob("*.json")):
        write_atomic(config / "dashboards" / board.name, board.read_bytes())
    files = with_runbooks(read_rules(rules or source / "prometheus/rules"), runbook)
    _write_rules(config / "rules", files, scale)


def write_api_targets(path: Path, targets: Iterable[tuple[str, str]]) -> None:
    """Show Prometheus which replicas there are; it notices by itself.

    Args:
        path: ``NativeConfiguration.targets``.
        targets: management address and ``service.instance.id`` of each replica.
    """
    groups = [
        {"targets": [address], "labels": {"instance": instance}} for address, instance in targets
    ]
    write_atomic(path, json.dumps(groups, indent=2) + "\n")


def _write_rules(folder: Path, files: Mapping[str, Tree], scale: TimeScale) -> None:
    for old in folder.glob("*"):
        old.unlink()
    for name, document in scaled_rules(files, scale.factor).items():
        write_yaml(folder / name, document)


def prometheus_tree(
    document: Tree,
    endpoints: Mapping[str, str],
    without: frozenset[str] = frozenset(),
    intake: str = "",
) -> Tree:
    """Prometheus's configuration with local addresses and without the components left out.

    Where an id is demanded, all of Prometheus's paths begin with it, those of its own metrics too.
    """

    def there(entry: Tree) -> bool:
        targets = [target for group in entry["static_configs"] for target in group["targets"]]
        return any(target.partition(":")[0] not in without for target in targets)

    retained = dict(document)
    jobs = document["scrape_configs"]
    retained["scrape_configs"] = [job for job in jobs if "static_configs" not in job or there(job)]
    if not any(map(there, document["alerting"]["alertmanagers"])):
        del retained["alerting"]
    if intake:
        retained["scrape_configs"] = [
            job | {"metrics_path": f"/{intake}{job.get('metrics_path', '/metrics')}"}
            if _scrapes(job, _PROMETHEUS)
            else job
            for job in retained["scrape_configs"]
        ]
    if "alerting" in retained:  # alerts may go by another way than scrapes do
        retained["alerting"] = _placed(retained["alerting"], ways("prometheus", endpoints))
    return cast("Tree", _placed(retained, endpoints))


def with_more_jobs(document: Tree, more: Sequence[Tree]) -> Tree:
    """A configuration of Prometheus with more scrape jobs, as those of a service."""
    return document | {"scrape_configs": [*document["scrape_configs"], *more]}


def _scrapes(job: Tree, address: str) -> bool:
    groups = job.get("static_configs") or ()
    return any(address in group["targets"] for group in groups)


def alertmanager_tree(
    document: Tree, endpoints: Mapping[str, str], without: frozenset[str] = frozenset()
) -> Tree:
    """Alertmanager's configuration with local addresses and without a receiver left out."""

    def reachable(webhook: Tree) -> bool:
        return re.split(r"[/:]+", webhook["url"])[1] not in without

    receivers = [
        receiver | {"webhook_configs": [each for each in webhooks if reachable(each)]}
        for receiver in document["receivers"]
        for webhooks in [receiver.get("webhook_configs") or []]
    ]
    return cast("Tree", _placed(document | {"receivers": receivers}, endpoints))


def with_email(document: Tree, smtp: SmtpSettings, password_file: Path) -> Tree:
    """Alertmanager's configuration with every notification also sent as e-mail.

    But for heartbeats, which never end.
    """
    login = {
        "smtp_auth_username": smtp.user,
        "smtp_auth_password_file": str(password_file.absolute()),
    }
    mail = {
        "to": smtp.receiver,
        "send_resolved": True,
        "headers": {"subject": '{{ template "testbed.subject" . }}'},
        "text": '{{ template "testbed.text" . }}',
        "html": "",
    }
    return document | {
        "global": {
            **(document.get("global") or {}),
            "smtp_smarthost": smtp.host,
            "smtp_from": smtp.sender,
            "smtp_require_tls": smtp.tls,
            **(login if smtp.user else {}),
        },
        "receivers": [
            receiver if receiver["name"] == RECEIVER else receiver | {"email_configs": [mail]}
            for receiver in document["receivers"]
        ],
    }


def collector_tree(
    document: Tree,
    endpoints: Mapping[str, str],
    queue: Path,
    without: frozenset[str] = frozenset(),
    intake: str = "",
) -> Tree:
    """The Collector's configuration with local addresses and its queue below the run.

    Without a trace viewer, spans and log records go to the receiver; where that is left out, too,
    spans end in the debug exporter, which the log level mutes. gRPC is left out where it has no
    port. Where an id is demanded, it begins the path of every signal that comes in, and of the
    metrics that go out to Prometheus.
    """
    own = {
        address.replace("collector", _ANY_HOST, 1): local
        for address, local in endpoints.items()
        if address.startswith("collector:")
    }
    placed = _placed(document, {**endpoints, **own})
    placed["extensions"]["file_storage"]["directory"] = str(queue.absolute())
    protocols = placed["receivers"]["otlp"]["protocols"]
    if _GRPC not in endpoints:
        protocols.pop("grpc", None)
    if intake:
        protocols["http"] |= {f"{each}_url_path": f"/{intake}/v1/{each}" for each in _SIGNALS}
        base = f"http://{endpoints[_PROMETHEUS]}"
        for exporter in placed["exporters"].values():
            target = exporter.get("endpoint", "")
            if target.startswith(f"{base}/"):
                exporter["endpoint"] = target.replace(base, f"{base}/{intake}", 1)
    if _TRACE_VIEWER not in endpoints:
        pipelines, exporters = placed["service"]["pipelines"], placed["exporters"]
        traces = exporters.pop(_TRACE_EXPORTER)
        if _SINK in endpoints and _SINK.partition(":")[0] not in without:
            exporters[SINK_EXPORTER] = {
                "endpoint": f"http://{endpoints[_SINK]}",
                "encoding": "json",
                "compression": "none",
                "retry_on_failure": {"initial_interval": "5s", "max_interval": "30s"},
                "sending_queue": traces.get("sending_queue", {}),
            }
            del exporters["debug/logs"]
            pipelines["traces"]["exporters"] = pipelines["logs"]["exporters"] = [SINK_EXPORTER]
        else:
            exporters["debug"] = {}
            pipelines["traces"]["exporters"] = ["debug"]
    return cast("Tree", placed)


def _placed(node: Any, endpoints: Mapping[str, str]) -> Any:  # noqa: ANN401 - YAML
    """A YAML tree with every Compose address replaced, also where host and port stand apart."""
    if isinstance(node, dict):
        together = endpoints.get(f"{node.get('host')}:{node.get('port')}")
        if together:
            host, _, port = together.rpartition(":")
            node = {**node, "host": host, "port": int(port)}
        return {key: _placed(value, endpoints) for key, value in node.items()}
    if isinstance(node, list):
        return [_placed(value, endpoints) for value in node]
    if isinstance(node, str) and endpoints:
        known = "|".join(map(re.escape, endpoints))
        return re.sub(rf"(?<![\w.-])(?:{known})(?!\w)", lambda found: endpoints[found[0]], node)
    return node
