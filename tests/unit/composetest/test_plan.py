"""What of the Compose project the test brings up, and what it names as left out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from testbed.composetest.plan import (
    PLAYER,
    SERVERS,
    STEADY_INTERVAL,
    Build,
    bases,
    plan,
    settings,
    steady_probes,
)
from testbed.composetest.plan import without_digests as tags_only
from testbed.composetest.standins import FOLDER
from testbed.errors import StackError
from testbed.resources import root

from tests.support.yamltext import load_yaml

DOCKERFILE = "FROM python:3.11-slim-bookworm AS python\nFROM python AS build\nFROM scratch\n"
DIGEST = "@sha256:" + "0f" * 32


def project(**services: dict[str, Any]) -> dict[str, Any]:
    """A project as Compose prints it."""
    return {"name": "shop", "services": services}


def own(target: str, **more: object) -> dict[str, Any]:
    """A service of an image that is built."""
    return {"build": {"context": ".", "target": target}, "restart": "always", **more}


def foreign(image: str, **more: object) -> dict[str, Any]:
    """A service of an official image."""
    return {"image": image, "restart": "always", **more}


def test_bases_are_images_and_no_stages() -> None:
    """Stages and the empty image need no stand-in; options of FROM are skipped."""
    text = "from --platform=linux/amd64 debian:12 as one\nFROM one\nFROM scratch AS two\nFROM two\n"
    assert bases(text) == ["debian:12"]


def test_an_image_that_cannot_be_had_leaves_its_service_out_by_name() -> None:
    """It is named with its image, and so is missing from what starts."""
    found = plan(project(shop=own("web"), charts=foreign("acme/charts:1.2")), DOCKERFILE)
    assert found.left_out == {"charts": "acme/charts:1.2"}
    assert found.services == ("shop",)


def test_stand_ins_go_by_repository_whatever_the_version() -> None:
    """A newer tag of an image with a stand-in gets it under that tag."""
    found = plan(project(db=foreign("postgres:99-alpine")), DOCKERFILE)
    assert found.stand_ins == {
        "python:3.11-slim-bookworm": "python",
        "postgres:99-alpine": "postgres",
    }


def test_services_of_one_target_share_a_build() -> None:
    """Each name under which the services know the image becomes a tag of it."""
    services = {"a": own("web"), "b": own("web", image="shop-web"), "c": own("job")}
    found = plan(project(**services), DOCKERFILE)
    assert found.builds == (Build("web", ("shop-a", "shop-web")), Build("job", ("shop-c",)))


def test_all_that_is_built_is_named() -> None:
    """The project's own images and the stand-ins, those of the Dockerfile's bases too."""
    found = plan(project(api=own("api"), db=foreign("postgres:18")), "FROM python:3.11 AS api")
    assert found.images == {"python:3.11", "postgres:18", f"{project()['name']}-api"}


def test_one_shots_and_the_player_are_not_kept_up() -> None:
    """What ends by itself would look like a service that fell over."""
    services = {"web": own("web"), "train": own("web", restart="no"), PLAYER: own("web")}
    assert plan(project(**services), DOCKERFILE).services == ("web",)


def test_the_configuration_counts_on_whole_profiles_only() -> None:
    """A profile of which one service is missing is not configured for; its others start."""
    services = {
        "web": own("web"),
        "load": own("load", profiles=["load"]),
        "node": foreign("quay.io/prometheus/node-exporter:v1", profiles=["host"]),
        "boxes": foreign("acme/boxes:3", profiles=["host"]),
        PLAYER: own("web", profiles=["scenario"]),
    }
    found = plan(project(**services), DOCKERFILE)
    assert found.profiles == ("load",)
    assert found.services == ("web", "load", "node")


def test_a_service_that_needs_one_left_out_is_an_error() -> None:
    """It could never start; one that would do without is none."""
    needs = {"charts": {"condition": "service_started", "required": True}}
    services = {"web": own("web", depends_on=needs), "charts": foreign("acme/charts:1")}
    with pytest.raises(StackError, match="service web needs charts"):
        plan(project(**services), DOCKERFILE)
    needs["charts"]["required"] = False
    assert plan(project(**services), DOCKERFILE).services == ("web",)


def test_a_base_without_stand_in_is_an_error() -> None:
    """Nothing could be built; it is named."""
    with pytest.raises(StackError, match="begins from alpine:3"):
        plan(project(), "FROM alpine:3\n")


def test_every_service_of_the_project_is_accounted_for() -> None:
    """Nothing of the committed file is missing unnamed: it starts, plays, ends or is left out."""
    document = load_yaml((root() / "docker-compose.yml").read_text("utf-8"))
    found = plan(document, (root() / "Dockerfile").read_text("utf-8"))
    once = {name for name, each in document["services"].items() if each["restart"] == "no"}
    assert set(document["services"]) == {*found.services, *found.left_out, *once}
    assert {"api", "drift", "prometheus", "postgres", "node_exporter"} <= set(found.services)
    assert set(found.left_out) == {"grafana", "cadvisor", "jaeger", "mlflow", "prefect"}


def test_servers_come_on_demand_alone() -> None:
    """Their images are big; who asks for one gets its stand-in, and its profile counts."""
    services = {
        "api": own("api"),
        "mlflow": foreign("ghcr.io/mlflow/mlflow:v3.17.2", profiles=["mlflow"]),
        "prefect": foreign("prefecthq/prefect:3.8.8-python3.11", profiles=["prefect"]),
    }
    assert set(plan(project(**services), DOCKERFILE).left_out) == SERVERS
    found = plan(project(**services), DOCKERFILE, frozenset({"mlflow"}))
    assert found.stand_ins["ghcr.io/mlflow/mlflow:v3.17.2"] == "mlflow"
    assert (found.services, found.profiles) == (("api", "mlflow"), ("mlflow",))
    assert set(found.left_out) == {"prefect"}


def test_every_stand_in_has_a_target() -> None:
    """Of the Dockerfile of the stand-ins, whatever the variant."""
    document = load_yaml((root() / "docker-compose.yml").read_text("utf-8"))
    found = plan(document, (root() / "Dockerfile").read_text("utf-8"), SERVERS)
    text = (FOLDER / "Dockerfile").read_text("utf-8")
    assert set(found.stand_ins.values()) <= set(re.findall(r"(?m)^FROM \S+ AS (\S+)$", text))


def test_digests_give_way_to_tags() -> None:
    """A stand-in can have the tag of an image, but not its digest."""
    assert tags_only(f"image: acme/box:1{DIGEST}\nimage: b:2") == "image: acme/box:1\nimage: b:2"


def test_an_old_engine_probes_at_one_interval() -> None:
    """Between that of the start and that of later, where there are two; nothing else changes."""
    probe = {"test": ["CMD", "probe"], "start_interval": "1s", "interval": "15s", "retries": 4}
    before = project(web={"healthcheck": probe}, db={"healthcheck": {"interval": "9s"}}, job={})
    after = steady_probes(before)["services"]
    assert after["web"] == {
        "healthcheck": {"test": ["CMD", "probe"], "interval": STEADY_INTERVAL, "retries": 4}
    }
    assert after["db"] == {"healthcheck": {"interval": "9s"}}
    assert after["job"] == {}
    assert probe["interval"] == "15s"


def test_settings_fill_what_is_missing_and_nothing_else() -> None:
    """A password without a value gets one; comments and values stay, ours come last and count."""
    example = "PASSWORD=\n#OTHER=\nPROFILES=a,b\n"
    lines = settings(example, "t0ken", PROFILES="c").splitlines()
    assert [line for line in lines if line] == [
        "PASSWORD=t0ken",
        "#OTHER=",
        "PROFILES=a,b",
        "PROFILES=c",
    ]
