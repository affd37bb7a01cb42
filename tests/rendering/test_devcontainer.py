"""The devcontainer recipe: the specification's schema, and a container that one can work in."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.containers import proof
from envdoctor.rendering.model import Options
from tests.rendering.test_docker import STACKS
from tests.rendering.tools import check_with

SCHEMA = Path(__file__).parent / "schemas/devContainer.base.schema.json"


def written(stack: Stack, **options: Any) -> dict[str, Any]:
    """The file without the comments that the format allows."""
    text = render("devcontainer", stack, Options(**options))[0].text
    loaded = json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))
    assert isinstance(loaded, dict)
    return loaded


def dockerfile(stack: Stack) -> str:
    return render("devcontainer", stack)[1].text


def test_every_file_passes_the_schema(tmp_path: Path) -> None:
    files = []
    for name, stack in STACKS.items():
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(written(stack, name='a "name"')))
    check_with("check-jsonschema", "--schemafile", str(SCHEMA), files=files)


def test_the_files_lie_where_editors_look() -> None:
    paths = [file.path for file in render("devcontainer", STACKS["rtx5090"])]
    assert paths == [".devcontainer/devcontainer.json", ".devcontainer/Dockerfile"]


@pytest.mark.parametrize(("name", "gpus"), [("rtx5090", ["--gpus", "all"]), ("no-gpu", [])])
def test_the_gpus_are_passed_in_where_the_plan_has_some(name: str, gpus: list[str]) -> None:
    arguments = written(STACKS[name])["runArgs"]
    assert arguments[: len(gpus)] == gpus
    assert ("--gpus" in arguments) == bool(gpus)
    assert "--shm-size=8gb" in arguments


def test_it_checks_itself_at_each_start() -> None:
    assert written(STACKS["rtx5090"])["postStartCommand"] == list(proof(STACKS["rtx5090"]))


def test_its_user_may_install_packages() -> None:
    assert "umask 000 \\\n    && python -m venv /opt/venv" in dockerfile(STACKS["packages"])
    assert "umask 000 && \\\n    pip install 'numpy>=2'" in dockerfile(STACKS["packages"])
    assert "      git \\\n" in dockerfile(STACKS["packages"])


def test_extensions_are_built_where_one_works() -> None:
    stack = STACKS["build-extensions"]
    text = dockerfile(stack)
    assert re.findall(r"^FROM (.*)", text, re.MULTILINE) == [stack.build_image]
    assert 'CUDA_HOME="/usr/local/cuda-13.2"' in text
    assert "build-essential" in text
