"""docker-compose.yml holds together with native mode, the lock file and the checkout.

No test here starts a container; what Compose itself would check is checked by structure.
"""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from testbed.componentnames import CONSOLE
from testbed.settings import Settings
from testbed.stack import addresses, arguments, composeconfiguration, environments
from testbed.stack.build import cache_folder
from testbed.stack.catalogue import TOOLS
from testbed_api.settings import ApiSettings
from testbed_drift.settings import DriftSettings, read_settings
from testbed_otel import names
from testbed_otel.settings import ALIASES, JOB_NAMES, TelemetrySettings

from testbed import compose, scenarioenv
from testbed import composebasics as basics
from tests.support.yamltext import load_yaml

from .conftest import stages

if TYPE_CHECKING:
    from pathlib import Path

# Images that hold nothing but their program, so nothing that could probe it.
WITHOUT_PROBE = {"collector"}
# Images that bring their own health check.
PROBE_IN_IMAGE = {"cadvisor"}
ONE_SHOT = {"train", "configuration", "scenario", "flow"}
CORE = {
    *("api", "train", "configuration", "drift", "receiver", "collector", "prometheus"),
    *("alertmanager", "postgres", "collector_health"),
}
HOST_PATHS = {"/", "/dev/disk/", "/sys", "/var/lib/docker/", "/var/run"}


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    """The committed file."""
    return (repository / compose.FILE).read_text("utf-8")


@pytest.fixture(scope="module")
def model(text: str) -> dict[str, Any]:
    """The committed file as a YAML parser reads it."""
    loaded: dict[str, Any] = load_yaml(text)
    return loaded


@pytest.fixture(scope="module")
def services(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its services."""
    found: dict[str, dict[str, Any]] = model["services"]
    return found


def mounts(services: dict[str, dict[str, Any]]) -> list[str]:
    """Every mount of every service."""
    return [mount for service in services.values() for mount in service.get("volumes", ())]


def test_committed_file_is_rendered(text: str) -> None:
    """The file in the repository is what the Python source gives, and says how to renew it."""
    assert text == compose.render()
    assert "python -m testbed.compose" in text.splitlines()[0]


def test_check_reports_a_stale_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The check passes on what was written; on a changed file it fails and says what to run."""
    monkeypatch.setattr(compose, "root", lambda: tmp_path)
    assert compose.main(["--check"]) == 1
    assert compose.main([]) == 0
    assert compose.main(["--check"]) == 0
    path = tmp_path / compose.FILE
    path.write_text(path.read_text().replace("127.0.0.1:", "0.0.0.0:"))
    assert compose.main(["--check"]) == 1
    assert "python -m testbed.compose" in capsys.readouterr().err


@pytest.fixture
def real_compose() -> list[str]:
    """Compose itself, where this machine has it."""
    built = sorted(cache_folder().glob("tools/compose-*/bin/cmd"))
    command = [str(built[-1])] if built else ["docker", "compose"]
    with contextlib.suppress(OSError):
        if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("no Compose on this machine")


def test_compose_itself_takes_the_file(
    repository: Path, tmp_path: Path, real_compose: list[str]
) -> None:
    """With every profile, at the demo's scale; and it names a password that is missing."""
    example = (repository / ".env.example").read_text("utf-8")
    file = tmp_path / "env"
    file.write_text(re.sub(r"(?m)^([A-Z_]+)=$", r"\1=abcdef", example))
    scaled = ("--env-file", str(repository / scenarioenv.FILE))

    def ask(env: Path, *more: str) -> subprocess.CompletedProcess[str]:
        command = [*real_compose, "--env-file", str(env), *more, "--profile", "*"]
        command += ["--file", str(repository / compose.FILE), "config", "--format", "json"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = ask(file, *scaled)
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert set(services) == set(compose.services())
    assert "--query.lookback-delta=10s" in services["prometheus"]["command"]
    assert services["drift"]["environment"]["TESTBED_DRIFT_INTERVAL"] == "10"
    missing = ask(repository / ".env.example")
    assert missing.returncode != 0
    assert "set it in .env, see .env.example" in missing.stderr


def test_versions_are_the_pins_of_native_mode(services: dict[str, dict[str, Any]]) -> None:
    """Collector, Prometheus, Alertmanager and node_exporter run in the versions that are built."""
    tags = {name: service.get("image", "").rpartition(":")[2] for name, service in services.items()}
    names_of = {"otelcol": "collector"}
    for tool in TOOLS:
        assert tags[names_of.get(tool.name, tool.name)].removeprefix("v") == tool.version


def test_every_image_is_pinned(services: dict[str, dict[str, Any]]) -> None:
    """No image floats."""
    for name, service in services.items():
        if "build" not in service:
            assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$", service["image"]), name


def test_ports_are_published_on_loopback_only(services: dict[str, dict[str, Any]]) -> None:
    """Nothing can be reached from another machine, and no port is taken twice."""
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published
    pattern = r"127\.0\.0\.1:\$\{(TESTBED_PORT_[A-Z_]+):-(\d+)\}:(\d+)"
    found = [re.fullmatch(pattern, port) for port in published]
    assert all(found)
    taken = [match[2] for match in found if match]
    assert taken == [match[3] for match in found if match]
    assert len(set(taken)) == len(taken)
    assert len({match[1] for match in found if match}) == len(taken)


def test_management_port_is_not_published(services: dict[str, dict[str, Any]]) -> None:
    """Faults and metrics stay inside."""
    assert not any(port.endswith(":9464") for port in services["api"]["ports"])


def test_addresses_are_those_of_the_architecture(services: dict[str, dict[str, Any]]) -> None:
    """Every Compose address of native mode names a service that exists, but for the console's.

    Compose has what it stands in for: Prometheus's own pages, Jaeger and Grafana.
    """
    hosts = {address.partition(":")[0] for address in addresses.USUAL_PORTS}
    assert hosts - {CONSOLE} <= set(services)


def test_nothing_of_the_checkout_is_mounted(services: dict[str, dict[str, Any]]) -> None:
    """So its permissions don't matter; one service writes the configuration into a volume."""
    assert not [mount for mount in mounts(services) if mount.startswith(".")]
    holders = {
        name
        for name in services
        if f"configuration:{basics.CONFIGURATION}" in "".join(services[name].get("volumes", ()))
    }
    tools = {"collector", "prometheus", "alertmanager", "grafana"}
    assert holders == {*tools, "configuration", "scenario"}
    for name in holders - {"configuration"}:
        assert basics.CONFIGURED in services[name]["volumes"]
        if name == "scenario":  # which asks a stack that is up
            continue
        wanted = services[name]["depends_on"]["configuration"]
        assert wanted == {"condition": "service_completed_successfully", "restart": True}
    for name in tools:
        # Another scale or profile makes a new container, which reads the new configuration.
        assert basics.READS_CONFIGURATION.items() <= services[name]["environment"].items()


def test_host_paths_are_read_only(services: dict[str, dict[str, Any]]) -> None:
    """Only the machine's exporters see the host, and can't write there."""
    for name, service in services.items():
        host = [mount for mount in service.get("volumes", ()) if mount.startswith("/")]
        assert not host or name in {"node_exporter", "cadvisor"}
        for mount in host:
            source, _, mode = mount.split(":")
            assert source in HOST_PATHS
            assert mode == "ro"


def test_named_volumes_are_declared(
    model: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    """Every named volume is declared, and none is left over."""
    used = {mount.split(":")[0] for mount in mounts(services) if mount[0] not in "./"}
    assert used == set(model["volumes"])


def test_state_outlives_containers(services: dict[str, dict[str, Any]]) -> None:
    """What must survive a restart lies in a volume where its configuration puts it."""
    collector = [mount.split(":")[1] for mount in services["collector"]["volumes"]]
    assert "/var/lib/otelcol" in collector
    assert "prometheus:/prometheus" in services["prometheus"]["volumes"]
    assert "alertmanager:/alertmanager" in services["alertmanager"]["volumes"]


def test_secrets_are_files_of_those_that_need_them(
    model: dict[str, Any], services: dict[str, dict[str, Any]]
) -> None:
    """No environment holds one; each container has the files that it asks for, and no other."""
    given = {
        name: entry["environment"]
        for name, entry in model["secrets"].items()
        if "environment" in entry
    }
    assert given == basics.SECRETS
    files = {name: entry["file"] for name, entry in model["secrets"].items() if "file" in entry}
    assert files == {
        "api_keys": "${TESTBED_API_KEYS_FILE:-/dev/null}",
        "load_key": "${TESTBED_LOAD_KEY_FILE:-/dev/null}",
    }
    holders = {
        secret: {name for name, each in services.items() if secret in each.get("secrets", ())}
        for secret in model["secrets"]
    }
    assert holders == {
        "management_token": {"api", "drift", "scenario"},
        "postgres_password": {"api", "drift", "flow", "scenario", "postgres"},
        "grafana_admin_password": {"grafana"},
        "api_keys": {"api", "scenario"},
        "load_key": {"locust", "scenario"},
    }
    for name, service in services.items():
        named = set(re.findall(r"/run/secrets/(\w+)", str(service)))
        # This one writes down what the others were started with, and reads none.
        assert name == "configuration" or named <= set(service.get("secrets", ()))


def test_no_password_stands_in_the_files(
    repository: Path, model: dict[str, Any], text: str
) -> None:
    """Secrets are required variables without a default; the example gives none that works."""
    names_of_secrets = set(basics.SECRETS.values())
    assert set(model["x-required"]) == names_of_secrets
    for name in names_of_secrets:
        assert re.findall(rf"\$\{{{name}[^}}]*\}}", text) == [basics.required(name)]
    literal = re.findall(
        r"(?mi)^\s*\S*(?:PASSWORD|SECRET|TOKEN)\S*:[ \t]*(?!\$\{|/run/secrets/)(\S+)$", text
    )
    assert literal == []
    assert re.findall(r"//[^\s/@]+:(?!\$\{)[^\s/@]+@", text) == []
    example = (repository / ".env.example").read_text("utf-8")
    assert set(re.findall(r"(?m)^([A-Z_]+)=$", example)) == names_of_secrets
    assert re.findall(r"(?m)^[A-Z_]+=.+$", example) == ["COMPOSE_PROFILES=load,ui,host,traces"]


def test_every_variable_is_in_the_example(repository: Path, text: str) -> None:
    """Whoever reads .env.example sees all that can be set, but for what a scenario sets."""
    example = (repository / ".env.example").read_text("utf-8")
    example += (repository / scenarioenv.FILE).read_text("utf-8")
    for name in re.findall(r"\$\{([A-Z_]+)", text):
        assert re.search(rf"(?m)^#?{name}=", example), name


def test_grafana_wants_a_login(services: dict[str, dict[str, Any]]) -> None:
    """Nobody gets in without the password."""
    environment = services["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    password = basics.secret_file("grafana_admin_password")
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == password


@pytest.mark.parametrize(
    ("service", "prefix", "settings"),
    [
        ("api", "TESTBED_API_", ApiSettings),
        ("drift", "TESTBED_DRIFT_", DriftSettings),
        ("train", "TESTBED_", Settings),
    ],
)
def test_variables_are_settings(
    services: dict[str, dict[str, Any]],
    service: str,
    prefix: str,
    settings: type[ApiSettings | DriftSettings | Settings],
) -> None:
    """Each TESTBED_* variable of a component is one of its settings; every required one is set."""
    environment = services[service]["environment"]
    given = {key.removeprefix(prefix).lower() for key in environment if key.startswith(prefix)}
    assert given <= set(settings.model_fields)
    others = ("OTEL_", ALIASES, JOB_NAMES, "MLFLOW_TRACKING_URI")
    assert not [key for key in environment if not key.startswith((prefix, *others))]
    required = {name for name, field in settings.model_fields.items() if field.is_required()}
    assert required <= given


def _default(found: re.Match[str]) -> str:
    """What a choice gives where its variable is unset."""
    return "" if ":+" in found[0] else found[1]


def test_components_read_the_variables(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The components' own settings accept the values, and get what native mode would give."""
    for service in ("api", "drift"):
        for key, value in services[service]["environment"].items():
            filled = re.sub(r"\$\{\w+:?[-+]([^}]*)\}", _default, value)
            monkeypatch.setenv(key, re.sub(r"\$\{\w+:\?[^}]*\}", "x", filled))
    api = ApiSettings.load()
    assert (api.host, api.port) == ("0.0.0.0", 8000)  # noqa: S104 - expected, in a container
    assert (api.management_host, api.management_port) == ("0.0.0.0", 9464)  # noqa: S104 - the same
    assert not api.faults_enabled
    drift = read_settings()
    assert (drift.interval, drift.window) == (
        environments.DRIFT_INTERVAL,
        environments.DRIFT_WINDOW,
    )
    assert TelemetrySettings.from_env().aliases == (
        "fastapi-instrumentator",
        "titanic",
        "ml-api",
        "churn",
    )
    assert drift.artefact == api.artefact
    assert drift.log_url == api.log_url


def test_telemetry_goes_to_the_collector(services: dict[str, dict[str, Any]]) -> None:
    """API and drift job push under the names, identity and interval that everything relies on."""
    for service, name in (("api", names.SERVICE_API), ("drift", names.SERVICE_DRIFT)):
        environment = services[service]["environment"]
        assert environment["OTEL_SERVICE_NAME"] == name
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
        interval = f"{environments.EXPORT_INTERVAL * 1000:.0f}"
        assert environment["OTEL_METRIC_EXPORT_INTERVAL"].endswith(f":-{interval}}}")


def test_pushed_and_scraped_identity_agree(services: dict[str, dict[str, Any]]) -> None:
    """The API says itself where it is scraped and under which id; Prometheus reads that."""
    folder = services["api"]["environment"]["TESTBED_API_TARGETS_FOLDER"]
    assert f"targets:{folder}" in services["api"]["volumes"]
    assert f"targets:{folder}:ro" in services["prometheus"]["volumes"]
    assert services["api"]["environment"]["TESTBED_API_MANAGEMENT_NAMES"].split(",")[0] == "api"


def test_containers_have_no_fixed_names(
    repository: Path, services: dict[str, dict[str, Any]]
) -> None:
    """Two stacks fit on a machine; the recipes for cAdvisor find the API by its label."""
    assert not [name for name, service in services.items() if "container_name" in service]
    assert services["api"]["labels"] == {"testbed.name": "ml-api"}
    config = load_yaml((repository / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = (job for job in config["scrape_configs"] if job["job_name"] == "cadvisor")
    assert job["metric_relabel_configs"][0] == {
        "source_labels": ["container_label_testbed_name"],
        "regex": "(.+)",
        "target_label": "name",
    }


def test_programs_get_the_flags_of_native_mode(services: dict[str, dict[str, Any]]) -> None:
    """Prometheus takes OTLP and keeps exemplars, Alertmanager stays alone; durations can scale."""
    assert "--web.enable-otlp-receiver" in services["prometheus"]["command"]
    assert "--web.enable-lifecycle" in services["prometheus"]["command"]
    assert all(port.startswith("127.0.0.1:") for port in services["prometheus"]["ports"])
    assert set(arguments.PROMETHEUS_FEATURES) <= set(services["prometheus"]["command"])
    assert "--cluster.listen-address=" in services["alertmanager"]["command"]
    for name, durations in (
        ("prometheus", arguments.PROMETHEUS_DURATIONS),
        ("alertmanager", arguments.ALERTMANAGER_DURATIONS),
    ):
        for flag, value in durations.items():
            variable = composeconfiguration.flag_variable(flag)
            assert f"--{flag}=${{{variable}:-{value}}}" in services[name]["command"]


def test_cadvisor_is_scraped(repository: Path) -> None:
    """Prometheus finds cAdvisor under Compose, and its container series pass."""
    config = load_yaml((repository / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = (job for job in config["scrape_configs"] if job["job_name"] == "cadvisor")
    (file,) = job["file_sd_configs"][0]["files"]
    targets = load_yaml((repository / "prometheus" / file).read_text("utf-8"))
    assert targets == [{"targets": ["cadvisor:8080"]}]


def test_long_lived_services_restart_and_are_probed(services: dict[str, dict[str, Any]]) -> None:
    """Each comes back after a crash and shows its health soon; a one-shot does neither."""
    for name, service in services.items():
        if name in ONE_SHOT:
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or name in WITHOUT_PROBE | PROBE_IN_IMAGE, name
        probe = service.get("healthcheck", {})
        if name in CORE and probe:
            assert probe["start_interval"] == "1s"
            assert "python" not in probe["test"], name


def test_a_dead_collector_is_an_unhealthy_service(services: dict[str, dict[str, Any]]) -> None:
    """Its image holds no probe, so another asks its health extension, with nothing to wait for."""
    asking = services["collector_health"]
    assert asking["healthcheck"]["test"] == ["CMD", "probe", "13133", "/", "collector"]
    assert "collector:13133" in addresses.USUAL_PORTS
    assert asking["depends_on"] == {"collector": {"condition": "service_started"}}
    assert asking["read_only"]


def test_dependencies_can_be_met(services: dict[str, dict[str, Any]]) -> None:
    """Who waits for health waits for a service with a probe, and nobody waits in a circle."""
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            if condition == "service_healthy":
                assert "healthcheck" in services[other], other
            if condition == "service_completed_successfully":
                assert services[other]["restart"] == "no"

    def reach(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, path
        for other in services[name].get("depends_on", {}):
            reach(other, (*path, name))

    for name in services:
        reach(name, ())


def test_no_profile_is_needed_by_what_is_in_none(services: dict[str, dict[str, Any]]) -> None:
    """A stack without any profile is whole: nothing in it waits for what is left out."""
    assert {name for name, service in services.items() if "profiles" not in service} == CORE
    profiles = {name: service.get("profiles", []) for name, service in services.items()}
    assert {each for found in profiles.values() for each in found} == {
        *("load", "ui", "host", "traces", "mlflow", "prefect", "scenario", "flow"),
    }
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= CORE, name


def test_every_container_is_limited(services: dict[str, dict[str, Any]]) -> None:
    """In memory, processors and processes; and its log is rotated."""
    for name, service in services.items():
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["pids_limit"], name
        assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


def test_the_flow_of_months_reads_what_the_drift_job_reads(
    services: dict[str, dict[str, Any]], repository: Path
) -> None:
    """Its model, log and folder are there; the server has the version of the lock file."""
    flow, drift = services["flow"], services["drift"]
    for name in ("TESTBED_DRIFT_ARTEFACT", "TESTBED_DRIFT_LOG_URL"):
        assert flow["environment"][name] == drift["environment"][name]
    mounted = {mount.split(":")[1]: mount.split(":")[0] for mount in flow["volumes"]}
    assert mounted[flow["environment"]["REPORT_DIR"]] == "months"
    (server,) = re.findall(r"//(\w+):4200/api", flow["environment"]["PREFECT_API_URL"])
    version = services[server]["image"].partition(":")[2].partition("-")[0]
    assert f'name = "prefect"\nversion = "{version}"' in (repository / "uv.lock").read_text("utf-8")


def test_containers_without_secrets_are_read_only(services: dict[str, dict[str, Any]]) -> None:
    """Compose can't put secrets of the environment into a read-only container; all others are.

    Those of files are mounted, which a read-only container takes.
    """
    written = {"cadvisor", "jaeger", "mlflow", "prefect"}  # not tried
    for name, service in services.items():
        secret = bool(basics.SECRETS.keys() & set(service.get("secrets", ())))
        assert service.get("read_only", False) == (not secret and name not in written), name


def test_services_of_a_target_share_its_image(services: dict[str, dict[str, Any]]) -> None:
    """Each target is one image, however many services run it."""
    built = {name: each for name, each in services.items() if "build" in each}
    shared = {(each["image"], each["build"]["target"]) for each in built.values()}
    assert len(shared) == len({image for image, _ in shared}) == 5
    assert all(each["init"] is True for each in built.values())


def test_own_containers_have_no_privileges(
    services: dict[str, dict[str, Any]], dockerfile: str
) -> None:
    """This project's containers run as a user of their own, without capabilities."""
    targets = stages(dockerfile)
    assert re.search(r"(?m)^USER (?!root)\w+$", targets["runtime"])
    for service in services.values():
        if "build" in service:
            target = service["build"]["target"]
            assert f"FROM runtime AS {target}\n" in dockerfile
            assert service["cap_drop"] == ["ALL"]


def test_a_changed_password_is_named(services: dict[str, dict[str, Any]]) -> None:
    """The database's probe logs in from outside, where the password counts, and says what to do."""
    kind, script = services["postgres"]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    assert "hostname -i" in script
    assert "psql -h" in script
    assert "POSTGRES_PASSWORD in .env is not the password" in script
    assert "raise log" in script  # by the server itself, in whose log people look


def test_the_machine_is_seen_from_its_own_network(services: dict[str, dict[str, Any]]) -> None:
    """node_exporter listens where containers reach it and other machines don't."""
    node = services["node_exporter"]
    assert node["network_mode"] == "host"
    (address,) = (flag for flag in node["command"] if flag.startswith("--web.listen-address="))
    gateway = address.partition("=")[2].rpartition(":$")[0]
    assert "0.0.0.0" not in address  # noqa: S104 - what it must not be
    assert services["prometheus"]["extra_hosts"] == [f"node_exporter:{gateway}"]


def test_mount_points_belong_to_the_user(
    services: dict[str, dict[str, Any]], dockerfile: str
) -> None:
    """A volume that this project's containers write into is mounted on a folder of their user."""
    absolute, relative = re.findall(r"install -d -o testbed -g testbed ([^&\n]+)", dockerfile)
    folders = {f"/var/lib/{folder}" for folder in relative.split()} | set(absolute.split())
    for service in services.values():
        if "build" in service:
            for mount in service.get("volumes", ()):
                assert mount.split(":")[1] in folders
