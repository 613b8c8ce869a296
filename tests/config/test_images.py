"""The Dockerfile holds together with the lock file and the workspace: what is in which image."""

from __future__ import annotations

import http.server
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
import zipfile
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from testbed import composeimages

from .conftest import stages

if TYPE_CHECKING:
    from pathlib import Path

METADATA = "Metadata-Version: 2.1\nName: uv\nVersion: 0.0.1\n"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def locked_closure(lock: dict[str, Any], roots: dict[str, set[str]]) -> set[str]:
    """Names of all packages that the roots, each with its extras, need by the lock file."""
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in lock["package"]:
        packages.setdefault(package["name"], []).append(package)
    seen: dict[str, set[str]] = {}
    waiting = list(roots.items())
    while waiting:
        name, extras = waiting.pop()
        if name in seen and extras <= seen[name]:
            continue
        seen[name] = seen.get(name, set()) | extras
        for package in packages[name]:
            needed = list(package.get("dependencies", ()))
            for extra in seen[name]:
                needed += package.get("optional-dependencies", {}).get(extra, ())
            waiting += [(item["name"], set(item.get("extra", ()))) for item in needed]
    return set(seen)


def image_packages(repository: Path, dockerfile: str, target: str) -> set[str]:
    """Names of the packages that the image of ``target`` installs."""
    (dependencies,), (everything,) = (
        re.findall(r"uv sync (.*)", stages(dockerfile)[f"{part}-{target}"])
        for part in ("packages", "build")
    )
    words = shlex.split(everything)
    # A layer of its own, below the sources: who changes one of them waits for no installation.
    assert [word for word in shlex.split(dependencies) if word != "--no-install-workspace"] == words
    assert "--no-install-workspace" in dependencies
    assert "--locked" in words
    assert "--no-dev" in words
    given = list(pairwise(words))
    extras = {value for option, value in given if option == "--extra"}
    lock = tomllib.loads((repository / "uv.lock").read_text("utf-8"))
    members = {package["name"]: package for package in lock["package"]}
    roots = {}
    for option, value in given:
        if option == "--package":
            roots[value] = extras & set(members[value].get("optional-dependencies", ()))
    assert extras == set().union(*roots.values())
    return locked_closure(lock, roots)


def test_api_image_is_lean(repository: Path, dockerfile: str) -> None:
    """The API's image holds what serves predictions, and no load tool, drift job or training."""
    packages = image_packages(repository, dockerfile, "api")
    assert {"testbed-api", "fastapi", "onnxruntime", "psycopg"} <= packages
    unwanted = {"locust", "gevent", "evidently", "pandas", "scikit-learn", "skl2onnx"}
    assert not packages & (unwanted | {"testbed-drift", "testbed-load"})


def test_each_image_holds_its_part(repository: Path, dockerfile: str) -> None:
    """Drift has Evidently and a database driver, load has Locust, and neither has the other's."""
    drift = image_packages(repository, dockerfile, "drift")
    assert {"testbed-drift", "evidently", "psycopg"} <= drift
    assert "locust" not in drift
    flow = image_packages(repository, dockerfile, "flow")
    assert {"testbed-drift", "evidently", "psycopg", "prefect", "prefect-dask"} <= flow
    assert "prefect" not in drift
    load = image_packages(repository, dockerfile, "load")
    assert {"testbed-load", "locust"} <= load
    assert "evidently" not in load
    everything = image_packages(repository, dockerfile, "testbed")
    assert {"ml-observability-testbed", "scikit-learn", "skl2onnx"} <= everything


def test_images_are_built_from_all_members(repository: Path) -> None:
    """The build context holds every workspace member, or the locked sync can't run."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))
    ignore = (repository / ".dockerignore").read_text("utf-8").splitlines()
    given = ("pyproject.toml", "uv.lock", "prometheus", "alertmanager", "scenarios")
    tools = ("tools/probe", "tools/hatch_members.py")
    for member in (*tools, *project["tool"]["uv"]["workspace"]["members"], *given):
        assert f"!{member}" in ignore


def test_dependencies_are_installed_before_the_sources_come(
    repository: Path, dockerfile: str
) -> None:
    """Below them lie the lock file and every member's own project file, and nothing else."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))
    copied = re.findall(r"(?m)^COPY --chmod=755 (.*) (\S+)$", stages(dockerfile)["build"])[2:]
    members = {
        (f"{name}/pyproject.toml", f"{name}/")
        for name in project["tool"]["uv"]["workspace"]["members"]
    }
    assert set(copied) == {("pyproject.toml uv.lock", "./")} | members
    for target in ("api", "drift", "flow", "load", "testbed"):
        assert "COPY" not in stages(dockerfile)[f"packages-{target}"]
        assert "COPY --chmod=755 . ." in stages(dockerfile)[f"build-{target}"]


def test_a_changed_source_leaves_the_layer_of_the_packages_alone(dockerfile: str) -> None:
    """The packages come from a stage without sources; what these add is a later layer."""
    for target in ("api", "drift", "flow", "load", "testbed"):
        copied = re.findall(r"(?m)^COPY (?:--\S+ )*\S+ /app\S*$", stages(dockerfile)[target])
        assert copied[0] == f"COPY --from=packages-{target} /app/.venv /app/.venv"
        assert copied[-1] == f"COPY --from=build-{target} /added /app"
        assert "added uv sync" in stages(dockerfile)[f"build-{target}"]


def test_the_checkouts_permissions_do_not_matter(dockerfile: str) -> None:
    """Whatever comes from it can be read by the containers' user."""
    own = [line for line in re.findall(r"(?m)^COPY .*$", dockerfile) if "--from=" not in line]
    assert own
    assert all(line.startswith("COPY --chmod=755 ") for line in own)


def test_images_compile_bytecode(dockerfile: str) -> None:
    """A cold start doesn't compile what it imports."""
    assert "UV_COMPILE_BYTECODE=1" in stages(dockerfile)["build"]


def test_grafana_image_fits_the_sdk(repository: Path) -> None:
    """The dashboards are written with the SDK line for Grafana 12, which Compose runs."""
    project = tomllib.loads((repository / "grafana" / "pyproject.toml").read_text("utf-8"))
    assert any(
        "grafana-foundation-sdk>=0.0." in need for need in project["project"]["dependencies"]
    )
    assert composeimages.COMPOSE_IMAGES["grafana"].startswith("grafana/grafana:12.")


def test_nothing_unchecked_makes_an_environment(repository: Path, dockerfile: str) -> None:
    """Uv comes by hash, everywhere; building needs no registry but those of the named images."""
    text = (repository / "tools" / "uv.txt").read_text("utf-8")
    (version,) = re.findall(r"(?m)^uv==([0-9.]+) ", text)
    assert len(re.findall(r"(?m)^[^#\s].*==", text)) == 1
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text)) >= 10, version
    setup = (repository / "tools" / "setup").read_text("utf-8")
    for script in (setup, dockerfile):
        installs = re.findall(r"pip install .*(?:\\\n.*)*", script)
        assert installs
        assert all("--require-hashes" in each or "hashed" in each for each in installs)
        assert "uv.txt" in script
    assert "syntax=" not in dockerfile
    assert not re.findall(r"--from=[^\s]*[/.:]", dockerfile)
    assert "!tools/uv.txt" in (repository / ".dockerignore").read_text("utf-8").splitlines()


@pytest.mark.slow
def test_a_uv_of_another_hash_is_refused(repository: Path, tmp_path: Path) -> None:
    """Whatever is served under the version, only what stands in the checkout is installed."""
    tools = tmp_path / "tools"
    tools.mkdir()
    shutil.copy(repository / "tools" / "setup", tools)
    served = tmp_path / "served"
    served.mkdir()
    with zipfile.ZipFile(served / "uv-0.0.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("uv.py", "")
        wheel.writestr(
            "uv-0.0.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: uv\nVersion: 0.0.1\n"
        )
        wheel.writestr(
            "uv-0.0.1.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("uv-0.0.1.dist-info/RECORD", "")
    (tools / "uv.txt").write_text(f"uv==0.0.1 --hash=sha256:{'0' * 64}\n")
    environment = {
        "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHON": sys.executable,
        "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(served),
    }  # fmt: skip
    done = subprocess.run(
        ["bash", str(tools / "setup"), "--print-uv"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "setup: uv could not be installed" in done.stderr
    assert not (tmp_path / ".tools").exists()


@pytest.mark.skipif(shutil.which("perl") is None, reason="the probe is in Perl")
def test_the_probe_asks_this_container_or_a_named_host(repository: Path) -> None:
    """Only 200 is health; where nobody listens it says so."""

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/well" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return None

    def ask(port: int, *words: str) -> tuple[int, str]:
        argv = [str(repository / "tools" / "probe"), str(port), *words]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
        return done.returncode, done.stdout

    with http.server.HTTPServer(("127.0.0.2", 0), Answers) as server:
        threading.Thread(target=server.serve_forever).start()
        port = server.server_port
        assert ask(port, "/well", "127.0.0.2") == (0, "")
        code, said = ask(port, "/ill", "127.0.0.2")
        assert (code, "503" in said) == (1, True)
        code, said = ask(port, "/well")
        assert (code, "nothing listens" in said) == (1, True)
        server.shutdown()
