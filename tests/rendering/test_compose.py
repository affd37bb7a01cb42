"""The compose recipe: the Compose specification's schema, yamllint, and what training needs of a container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.model import Options
from tests.rendering.test_docker import STACKS
from tests.rendering.tools import YAMLLINT, check_with


def written(stack: Stack, **options: Any) -> dict[str, Any]:
    loaded = yaml.safe_load(render("compose", stack, Options(**options))[0].text)
    assert isinstance(loaded, dict)
    return loaded


def service(stack: Stack, **options: Any) -> dict[str, Any]:
    (only,) = written(stack, **options)["services"].values()
    assert isinstance(only, dict)
    return only


def test_every_file_passes_the_schema_and_yamllint(tmp_path: Path) -> None:
    files = []
    for name, stack in STACKS.items():
        for gpus in ("all", "2"):
            files.append(tmp_path / f"{name}-{gpus}.yaml")
            files[-1].write_text(render("compose", stack, Options(gpus=gpus, name="My stack"))[0].text)
    check_with("check-jsonschema", "--builtin-schema", "vendor.compose-spec", files=files)
    check_with("yamllint", "--strict", "-d", YAMLLINT, files=files)


def test_it_comes_with_the_image_that_it_builds() -> None:
    files = render("compose", STACKS["rtx5090"])
    assert [file.path for file in files] == ["compose.yaml", "Dockerfile", ".dockerignore"]
    assert "# Made by: envdoctor recipe compose" in files[1].text


@pytest.mark.parametrize(("gpus", "count"), [("all", "all"), ("2", 2)])
def test_the_gpus_are_reserved(gpus: str, count: object) -> None:
    devices = service(STACKS["h100x8"], gpus=gpus)["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": count, "capabilities": ["gpu"]}]


def test_a_plan_for_the_cpu_reserves_none() -> None:
    assert "deploy" not in service(STACKS["no-gpu"])


def test_training_gets_shared_memory_and_limits() -> None:
    torch = service(STACKS["h100x8"])
    assert torch["shm_size"] == "8gb"
    assert torch["ulimits"] == {"memlock": -1, "stack": 67108864}
    assert torch["init"] is True


def test_another_architecture_is_named() -> None:
    assert service(STACKS["gb10"])["platform"] == "linux/arm64"
