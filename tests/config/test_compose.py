"""docker-compose.yml holds together with native mode, the lock file and the checkout.

No test here starts a container; what Compose itself would check is checked by structure.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from testbed.settings import Settings
from testbed.stack import parts
from testbed.stack.catalogue import TOOLS
from testbed_api.settings import ApiSettings
from testbed_drift.settings import DriftSettings, read_settings
from testbed_otel import names
from testbed_otel.settings import ALIASES, TelemetrySettings

from testbed import compose, composeimages

from .conftest import stages

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = ("GRAFANA_ADMIN_PASSWORD", "POSTGRES_PASSWORD")
# Images that hold nothing but their program, so nothing that could probe it.
WITHOUT_PROBE = {"collector"}
# Images that bring their own health check.
PROBE_IN_IMAGE = {"cadvisor"}
HOST_PATHS = {"/", "/dev/disk/", "/sys", "/var/lib/docker/", "/var/run"}


@pytest.fixture(scope="module")
def text(repository: Path) -> str:
    """The committed file."""
    return (repository / compose.FILE).read_text("utf-8")


@pytest.fixture(scope="module")
def model(text: str) -> dict[str, Any]:
    """The committed file as Compose reads it."""
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.fixture(scope="module")
def services(model: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Its services."""
    found: dict[str, dict[str, Any]] = model["services"]
    return found


def mounts(services: dict[str, dict[str, Any]]) -> list[str]:
    """Every mount of every service."""
    return [mount for service in services.values() for mount in service.get("volumes", ())]


def test_committed_file_is_rendered(repository: Path, text: str) -> None:
    """The file in the repository is what the Python source gives, and says how to renew it."""
    assert text == compose.render(repository)
    assert "python -m testbed.compose" in text.splitlines()[0]


def test_check_tells_a_stale_file(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The check passes on what was written; on a changed file it fails and says what to run."""
    targets = tmp_path / "prometheus" / "targets"
    targets.mkdir(parents=True)
    original = repository / "prometheus" / "targets" / "api.json"
    (targets / "api.json").write_bytes(original.read_bytes())
    monkeypatch.setattr(compose, "root", lambda: tmp_path)
    assert compose.main(["--check"]) == 1
    assert compose.main([]) == 0
    assert compose.main(["--check"]) == 0
    path = tmp_path / compose.FILE
    path.write_text(path.read_text().replace("127.0.0.1:", "0.0.0.0:"))
    assert compose.main(["--check"]) == 1
    assert "python -m testbed.compose" in capsys.readouterr().err


def test_versions_are_the_pins_of_native_mode(services: dict[str, dict[str, Any]]) -> None:
    """Collector, Prometheus, Alertmanager and node_exporter run in the versions that are built."""
    tags = {name: service.get("image", "").rpartition(":")[2] for name, service in services.items()}
    names_of = {"otelcol": "collector"}
    for tool in TOOLS:
        assert tags[names_of.get(tool.name, tool.name)].removeprefix("v") == tool.version


def test_every_image_is_pinned(services: dict[str, dict[str, Any]]) -> None:
    """No image floats."""
    for name, service in services.items():
        if "image" in service:
            assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z]+)?$", service["image"]), name


def test_ports_are_published_on_loopback_only(services: dict[str, dict[str, Any]]) -> None:
    """Nothing can be reached from another machine, and no port is taken twice."""
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in published)
    taken = [port.split(":")[1] for port in published]
    assert len(set(taken)) == len(taken)


def test_management_port_is_not_published(services: dict[str, dict[str, Any]]) -> None:
    """Faults and metrics stay inside."""
    assert not any(port.endswith(":9464") for port in services["api"]["ports"])


def test_addresses_are_those_of_the_architecture(services: dict[str, dict[str, Any]]) -> None:
    """Every Compose address of native mode names a service that exists."""
    hosts = {address.partition(":")[0] for address in parts.USUAL_PORTS}
    assert hosts <= set(services)


def test_configuration_names_only_services(
    repository: Path, services: dict[str, dict[str, Any]]
) -> None:
    """Every host that a mounted configuration file speaks of is a service."""
    files = [
        repository / "otel" / "collector.yaml",
        repository / "prometheus" / "prometheus.yml",
        repository / "alertmanager" / "alertmanager.yml",
        *sorted((repository / "prometheus" / "targets").glob("*.json")),
        *sorted((repository / "grafana" / "provisioning").glob("*/*.yaml")),
    ]
    spoken = set()
    for file in files:
        lines = file.read_text("utf-8").splitlines()
        content = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
        spoken |= set(re.findall(r"\b([a-z][a-z_]*):\d{4,5}\b", content))
    assert {"api", "collector", "prometheus", "alertmanager", "receiver", "jaeger"} <= spoken
    assert spoken <= set(services)


def test_mounted_paths_exist(repository: Path, services: dict[str, dict[str, Any]]) -> None:
    """Every path of the checkout that is mounted exists, and is mounted read-only."""
    own = [mount for mount in mounts(services) if mount.startswith("./")]
    assert own
    for mount in own:
        source, _, mode = mount.split(":")
        assert (repository / source).exists(), source
        assert mode == "ro"


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


def test_the_management_token_is_a_file_of_those_that_need_it(
    services: dict[str, dict[str, Any]], text: str
) -> None:
    """No environment holds it; API and drift job read the same file, nobody else has it."""
    assert yaml.safe_load(text)["secrets"] == {
        compose.TOKEN: {"environment": compose.TOKEN_VARIABLE}
    }
    holders = {name for name, service in services.items() if "secrets" in service}
    assert holders == {"api", "drift"}
    path = f"/run/secrets/{compose.TOKEN}"
    assert services["api"]["environment"]["TESTBED_API_MANAGEMENT_TOKEN_FILE"] == path
    assert services["drift"]["environment"]["TESTBED_DRIFT_MANAGEMENT_TOKEN_FILE"] == path


def test_no_password_stands_in_the_files(repository: Path, text: str) -> None:
    """Secrets are required variables without a default; the example gives none that works."""
    for name in SECRETS:
        assert set(re.findall(rf"\$\{{{name}[^}}]*\}}", text)) == {composeimages.secret(name)}
    literal = re.findall(
        r"(?mi)^\s*\S*(?:PASSWORD|SECRET|TOKEN)\S*:[ \t]*(?!\$\{|/run/secrets/)(\S+)$", text
    )
    assert literal == []
    assert re.findall(r"//[^\s/@]+:(?!\$\{)[^\s/@]+@", text) == []
    example = (repository / ".env.example").read_text("utf-8")
    assert set(re.findall(r"(?m)^([A-Z_]+)=$", example)) == {*SECRETS, compose.TOKEN_VARIABLE}
    assert re.findall(r"(?m)^[A-Z_]+=.+$", example) == []


def test_every_variable_is_in_the_example(repository: Path, text: str) -> None:
    """Whoever reads .env.example sees all that can be set."""
    example = (repository / ".env.example").read_text("utf-8")
    for name in re.findall(r"\$\{([A-Z_]+)", text):
        assert re.search(rf"(?m)^#?{name}=", example), name


def test_grafana_wants_a_login(services: dict[str, dict[str, Any]]) -> None:
    """Nobody gets in without the password."""
    environment = services["grafana"]["environment"]
    assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
    assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"
    assert environment["GF_SECURITY_ADMIN_PASSWORD"] == composeimages.secret(
        "GRAFANA_ADMIN_PASSWORD"
    )


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
    """Every TESTBED_* variable of a part is one of its settings, and every required one is set."""
    environment = services[service]["environment"]
    given = {key.removeprefix(prefix).lower() for key in environment if key.startswith(prefix)}
    assert given <= set(settings.model_fields)
    assert not [key for key in environment if not key.startswith((prefix, "OTEL_", ALIASES))]
    required = {name for name, field in settings.model_fields.items() if field.is_required()}
    assert required <= given


def test_parts_read_the_variables(
    services: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts' own settings accept the values, and get what native mode would give."""
    for service in ("api", "drift"):
        for key, value in services[service]["environment"].items():
            filled = re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", value)
            monkeypatch.setenv(key, re.sub(r"\$\{\w+:\?[^}]*\}", "x", filled))
    api = ApiSettings.load()
    assert (api.host, api.port) == ("0.0.0.0", 8000)  # noqa: S104 - expected, in a container
    assert (api.management_host, api.management_port) == ("0.0.0.0", 9464)  # noqa: S104 - the same
    assert not api.faults_enabled
    drift = read_settings()
    assert (drift.interval, drift.window) == (parts.DRIFT_INTERVAL, parts.DRIFT_WINDOW)
    assert TelemetrySettings.from_env().aliases == ("a", "b", "c", "e")
    assert drift.artefact == api.artefact
    assert drift.log_url == api.log_url


def test_telemetry_goes_to_the_collector(services: dict[str, dict[str, Any]]) -> None:
    """API and drift job push under the names, identity and interval that everything relies on."""
    for service, name in (("api", names.SERVICE_API), ("drift", names.SERVICE_DRIFT)):
        environment = services[service]["environment"]
        assert environment["OTEL_SERVICE_NAME"] == name
        assert environment["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://collector:4318"
        interval = float(environment["OTEL_METRIC_EXPORT_INTERVAL"])
        assert interval == parts.EXPORT_INTERVAL * 1000


def test_pushed_and_scraped_identity_agree(
    repository: Path, services: dict[str, dict[str, Any]]
) -> None:
    """The instance of the scrape target is the one that the API pushes as."""
    attributes = services["api"]["environment"]["OTEL_RESOURCE_ATTRIBUTES"]
    assert attributes == f"service.instance.id={compose.api_instance(repository)}"


def test_container_name_for_cadvisor(services: dict[str, dict[str, Any]]) -> None:
    """Container queries select the API by this name."""
    assert services["api"]["container_name"] == "ml-api"


def test_programs_get_the_flags_of_native_mode(services: dict[str, dict[str, Any]]) -> None:
    """Prometheus takes OTLP, and Alertmanager stays alone."""
    assert "--web.enable-otlp-receiver" in services["prometheus"]["command"]
    assert "--cluster.listen-address=" in services["alertmanager"]["command"]


def test_cadvisor_is_scraped(repository: Path) -> None:
    """Prometheus finds cAdvisor under Compose, and its container series pass."""
    config = yaml.safe_load((repository / "prometheus" / "prometheus.yml").read_text("utf-8"))
    (job,) = (job for job in config["scrape_configs"] if job["job_name"] == "cadvisor")
    (file,) = job["file_sd_configs"][0]["files"]
    targets = yaml.safe_load((repository / "prometheus" / file).read_text("utf-8"))
    assert targets == [{"targets": ["cadvisor:8080"]}]


def test_long_lived_services_restart_and_are_probed(
    services: dict[str, dict[str, Any]], dockerfile: str
) -> None:
    """Each comes back after a crash and shows its health; the one-shot does neither."""
    targets = stages(dockerfile)
    for name, service in services.items():
        if name == "train":
            assert service["restart"] == "no"
            continue
        assert service["restart"] == "unless-stopped", name
        target = service.get("build", {}).get("target")
        probed = "healthcheck" in service or (target and "HEALTHCHECK" in targets[target])
        assert probed or name in WITHOUT_PROBE | PROBE_IN_IMAGE, name


def test_dependencies_can_be_met(services: dict[str, dict[str, Any]], dockerfile: str) -> None:
    """Who waits for health waits for a service with a probe, and nobody waits in a ring."""
    targets = stages(dockerfile)
    for service in services.values():
        for other, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            target = services[other].get("build", {}).get("target")
            if condition == "service_healthy":
                probe = "healthcheck" in services[other] or "HEALTHCHECK" in targets[target]
                assert probe, other
            if condition == "service_completed_successfully":
                assert services[other]["restart"] == "no"

    def reach(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, path
        for other in services[name].get("depends_on", {}):
            reach(other, (*path, name))

    for name in services:
        reach(name, ())


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


def test_mount_points_belong_to_the_user(
    services: dict[str, dict[str, Any]], dockerfile: str
) -> None:
    """A volume that this project's containers write into is mounted on a folder of their user."""
    (installed,) = re.findall(r"install -d -o testbed -g testbed\s+(.*)", dockerfile)
    folders = {f"/var/lib/{folder}" for folder in installed.split()}
    for service in services.values():
        if "build" in service:
            for mount in service.get("volumes", ()):
                assert mount.split(":")[1] in folders
