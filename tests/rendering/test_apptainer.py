"""The apptainer recipe: a definition that parses, whose scripts pass shellcheck and whose guard works."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.containers import proof
from envdoctor.rendering.templates import sh
from tests.rendering.test_docker import STACKS
from tests.rendering.tools import check_with

# apptainer.org/docs/user/main/definition_files.html: keywords of the docker agent, and the sections.
KEYWORDS = {"bootstrap", "from", "stage"}
SECTIONS = {"files", "post", "environment", "labels", "help", "test", "runscript"}
SHELL = {"post": "bash", "environment": "sh", "test": "sh", "runscript": "sh"}


class Stage(NamedTuple):
    keywords: dict[str, str]
    sections: dict[str, str]
    """By their first line without the percent sign: "post -c /bin/bash"."""

    def section(self, name: str) -> str:
        (text,) = [text for title, text in self.sections.items() if title.split()[0] == name]
        return text


def stages(stack: Stack) -> list[Stage]:
    """The definition's stages. A line that is neither keyword, section nor comment fails the test, as it fails the build."""
    found: list[Stage] = []
    title = None
    (file,) = render("apptainer", stack)
    for line in file.text.splitlines():
        if line.lower().startswith("bootstrap:"):
            found.append(Stage({}, {}))
            title = None
        if line.startswith("%"):
            title = line[1:].strip()
            assert title.split()[0] in SECTIONS, line
            assert title not in found[-1].sections, f"{line} comes twice"
            found[-1].sections[title] = ""
        elif title is not None:
            assert not line or line.startswith(" "), line
            found[-1].sections[title] += f"{line}\n"
        elif line and not line.startswith("#"):
            keyword, colon, value = line.partition(": ")
            assert colon, line
            assert keyword.lower() in KEYWORDS, line
            found[-1].keywords[keyword.lower()] = value
    return found


@pytest.mark.parametrize("name", STACKS)
def test_the_definition_is_one(name: str) -> None:
    *building, final = stages(STACKS[name])
    for stage in (*building, final):
        assert stage.keywords["bootstrap"] == "docker"
        assert stage.section("post").strip()
    assert {title.split()[0] for title in final.sections} >= SECTIONS - {"files"}
    assert len(building) == (STACKS[name].build_image is not None)


def test_scripts_pass_shellcheck(tmp_path: Path) -> None:
    files = []
    for name, stack in STACKS.items():
        for number, stage in enumerate(stages(stack)):
            for title, text in stage.sections.items():
                kind = title.split()[0]
                if kind in SHELL:
                    files.append(tmp_path / f"{name}-{number}-{kind}.sh")
                    files[-1].write_text(f"#!/bin/{SHELL[kind]}\n{text}")
    check_with("shellcheck", files=files)


def test_wheels_go_on_the_plans_base() -> None:
    stack = STACKS["packages"]
    (only,) = stages(stack)
    assert only.keywords["from"] == stack.base_image
    post = only.section("post")
    assert f"pip install torch=={stack.torch} torchvision=={stack.torchvision}\n" in post
    assert """pip install 'numpy>=2' 'requests[socks]; sys_platform == "linux"' timm\n""" in post
    assert post.index("export PIP_CONSTRAINT=") < post.index("timm")


def test_extensions_are_built_in_a_stage_that_is_left_behind() -> None:
    stack = msgspec.structs.replace(STACKS["build-extensions"], packages=("flash-attn",))
    build, final = stages(stack)
    assert build.keywords == {"bootstrap": "docker", "from": stack.build_image, "stage": "build"}
    assert "pip install --no-build-isolation flash-attn" in build.section("post")
    assert "export TORCH_CUDA_ARCH_LIST=12.0" in build.section("post")
    assert final.keywords["from"] == stack.base_image
    assert final.sections["files from build"].split() == ["/opt/venv"]


def test_a_python_of_uv_goes_along() -> None:
    build, final = stages(STACKS["building-other-python"])
    assert "python3-venv" in build.section("post")
    assert final.sections["files from build"].split() == ["/opt/venv", "/opt/python"]


def test_the_users_own_packages_do_not_come_first() -> None:
    assert "export PYTHONNOUSERSITE=1" in stages(STACKS["rtx5090"])[0].section("environment")


def test_it_refuses_an_older_driver_and_checks_by_default() -> None:
    stack = STACKS["rtx5090"]
    script = stages(stack)[0].section("runscript")
    assert f"need={stack.min_driver}\n" in script
    assert script.rstrip().endswith(f'[ $# -gt 0 ] || set -- {sh(proof(stack))}\n    exec "$@"')
    assert "need=" not in stages(STACKS["no-gpu"])[0].section("runscript")


def test_labels_have_values() -> None:
    for line in stages(STACKS["mixed"])[0].section("labels").strip().splitlines():
        assert re.fullmatch(r"[\w.-]+ \S.*", line.strip())


def test_help_says_how_to_run_it_with_gpus() -> None:
    assert "apptainer run --nv stack.sif" in stages(STACKS["rtx5090"])[0].section("help")
    assert "--nv" not in stages(STACKS["no-gpu"])[0].section("help")
