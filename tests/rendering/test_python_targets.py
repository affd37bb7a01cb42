"""venv, uv, requirements, conda and pixi: each file passes its field's own checker, and says exactly what the plan says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tomli
import yaml
from packaging.requirements import Requirement

from envdoctor.errors import InputError
from envdoctor.knowledge import load
from envdoctor.planning.model import Stack
from envdoctor.planning.planner import plan
from envdoctor.planning.target import describe
from envdoctor.planning.wishes import checked
from envdoctor.rendering.catalogue import render
from envdoctor.rendering.model import Options
from tests.rendering.plans import PLANS
from tests.rendering.powershell import errors
from tests.rendering.tools import check_with

TARGETS = ("venv", "uv", "requirements", "conda", "pixi")
SCHEMAS = Path(__file__).parent / "schemas"
HOSTILE = Options(name="it's $(id)", environment="my env'; touch pwned; '", arguments=("--with", "a'b\nc $(id)"))


def changed(name: str, **fields: Any) -> Stack:
    return msgspec.structs.replace(PLANS[name], **fields)


def planned() -> dict[str, Stack]:
    """What the planner itself makes of some machines."""
    world = load()
    described = {
        "5090": {"gpus": ("RTX 5090",), "driver": "580"},
        "3090 and 5090, driver 570": {"gpus": ("RTX 5090", "RTX 3090"), "driver": "570"},
        "1080": {"gpus": ("GTX 1080",), "driver": "535"},
        "h100 rhel": {"gpus": ("8x H100",), "driver": "550", "os": "rhel9"},
        "windows": {"gpus": ("RTX 4090",), "driver": "591.44", "os": "windows"},
        "gb10": {"gpus": ("GB10",), "driver": "580", "arch": "aarch64"},
    }
    found = {}
    for name, words in described.items():
        target = describe(world, **words)  # type: ignore[arg-type]
        stack = plan(target, checked(world, packages=("timm>=1",)), world).stack
        assert stack is not None, name
        found[f"planned: {name}"] = stack
    return found


ALL = {
    **PLANS,
    **planned(),
    "building packages": changed("build-extensions", packages=("flash-attn==2.8.3",)),
    "building on another index": changed(
        "gtx1080", purpose="build-extensions", packages=("xformers",), arch_list="6.1"
    ),
    "free-threaded": changed("rtx5090", python="3.14t"),
    "git": changed(
        "rtx5090", packages=("a @ git+https://git@example.org/a.git@v1#egg=a", "b @ https://example.org/b.whl")
    ),
}


def write(target: str, stack: Stack, folder: Path, options: Options | None = None) -> dict[str, str]:
    """The files, in `folder` too; text by path."""
    files = render(target, stack, options)
    for file in files:
        (folder / file.path).write_text(file.text)
    return {file.path: file.text for file in files}


# --- the checkers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["venv", "uv", "conda"])
@pytest.mark.parametrize("options", [Options(), HOSTILE], ids=["plain", "hostile"])
def test_every_script_passes_shellcheck(target: str, options: Options, tmp_path: Path) -> None:
    scripts = []
    for number, (name, stack) in enumerate(ALL.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        written = write(target, stack, folder, options)
        scripts += [folder / path for path in written if path.endswith(".sh")]
        assert stack.platform.startswith("windows") or scripts[-1].parent == folder, name
    # Of a $ in single quotes it remarks (SC2016, info) that it stays one: here that is the point.
    check_with("shellcheck", "--severity=style" if options is not HOSTILE else "--severity=warning", files=scripts)


@pytest.mark.parametrize("target", ["venv", "uv"])
@pytest.mark.parametrize("options", [Options(), HOSTILE], ids=["plain", "hostile"])
def test_every_powershell_script_is_powershell(target: str, options: Options, tmp_path: Path) -> None:
    packages = ("timm", "requests[socks]; python_version < '4'")
    for stack in (PLANS["windows"], changed("windows", packages=packages), changed("windows", index_url=None)):
        written = write(target, stack, tmp_path, options)
        scripts = [path for path in written if path.endswith(".ps1")]
        assert len(scripts) == 1
        assert errors(written[scripts[0]]) == []


@pytest.mark.parametrize("options", [Options(), HOSTILE], ids=["plain", "hostile"])
def test_every_toml_is_toml_and_pixi_accepts_its_own(options: Options, tmp_path: Path) -> None:
    files = []
    for number, stack in enumerate(ALL.values()):
        project = tomli.loads(write("uv", stack, tmp_path, options)["pyproject.toml"])
        assert project["project"]["name"] == options.name
        for line in project["project"]["dependencies"]:
            Requirement(line)
        manifest = tomli.loads(write("pixi", stack, tmp_path, options)["pixi.toml"])
        files.append(tmp_path / f"{number}.json")
        files[-1].write_text(json.dumps(manifest))
    check_with("check-jsonschema", "--schemafile", str(SCHEMAS / "pixi.json"), files=files)


def test_pixis_schema_refuses_what_pixi_would(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text(json.dumps({"workspace": {"channels": ["x"], "platforms": [{"cuda": "12"}]}}))
    with pytest.raises(AssertionError, match="check-jsonschema says"):
        check_with("check-jsonschema", "--schemafile", str(SCHEMAS / "pixi.json"), files=[tmp_path / "bad.json"])


def test_every_environment_file_passes_yamllint(tmp_path: Path) -> None:
    files = []
    for number, stack in enumerate(ALL.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        write("conda", stack, folder)
        files.append(folder / "environment.yml")
    # A requirement with an address cannot be broken into lines of 80.
    check_with("yamllint", "--strict", "-d", "{extends: default, rules: {line-length: {max: 120}}}", files=files)


@pytest.mark.parametrize("name", ALL)
def test_programs_for_python_are_python(name: str, tmp_path: Path) -> None:
    for target in TARGETS:
        for path, text in write(target, ALL[name], tmp_path).items():
            programs = re.findall(r"<<'PY'\n(.*?)^PY$", text, re.MULTILINE | re.DOTALL)
            programs += re.findall(r"@'\n(.*?)^'@", text, re.MULTILINE | re.DOTALL) if path.endswith("ps1") else []
            programs += [text] if path.endswith(".py") else []
            for program in programs:
                compile(program, path, "exec")
                assert repr(ALL[name].torch) in program
            if path.endswith((".sh", ".ps1", ".py")):
                assert programs, f"{path} verifies nothing"


# --- what they say -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_torch_comes_from_the_one_index_that_the_plan_names(name: str, tmp_path: Path) -> None:
    stack = ALL[name]
    uv = tomli.loads(write("uv", stack, tmp_path)["pyproject.toml"])
    assert uv["project"]["dependencies"][: len(stack.requirements)] == list(stack.requirements)
    requirements = write("requirements", stack, tmp_path)["requirements.txt"].splitlines()
    script = next(text for path, text in write("venv", stack, tmp_path).items())
    if stack.index_url is None:
        assert "index" not in uv["tool"]["uv"]
        assert not [line for line in requirements if line.startswith("--")]
        assert "--index-url" not in script
    else:
        (index,) = uv["tool"]["uv"]["index"]
        assert index["url"] == stack.index_url
        assert index["explicit"] is True
        named = [Requirement(pin).name for pin in stack.requirements]
        assert uv["tool"]["uv"]["sources"] == {package: {"index": index["name"]} for package in named}
        assert [line for line in requirements if line.startswith("--")] == [f"--index-url {stack.index_url}"]
        assert script.count(stack.index_url) == 2  # in the header, and where it is used


@pytest.mark.parametrize("name", ALL)
def test_requirements_are_what_pip_reads(name: str, tmp_path: Path) -> None:
    for text in write("requirements", ALL[name], tmp_path).values():
        lines = [line for line in text.splitlines() if line and not line.startswith(("#", "--index-url "))]
        assert [str(Requirement(line).name) for line in lines]


def test_packages_follow_in_a_file_of_their_own_where_the_index_has_them_not(tmp_path: Path) -> None:
    files = write("requirements", changed("gtx1080", packages=("timm",)), tmp_path)
    assert "timm" not in files["requirements.txt"]
    rest = files["requirements-packages.txt"]
    assert "--index-url" not in rest
    assert rest.index("torch==2.14.1") < rest.index("\ntimm")
    assert len(write("requirements", changed("rtx5090", packages=("timm",)), tmp_path)) == 1


def test_extensions_are_built_against_the_torch_that_is_there(tmp_path: Path) -> None:
    stack = ALL["building packages"]
    assert "--no-build-isolation flash-attn==2.8.3" in write("venv", stack, tmp_path)["venv.sh"]
    project = tomli.loads(write("uv", stack, tmp_path)["pyproject.toml"])
    assert project["tool"]["uv"]["no-build-isolation-package"] == ["flash-attn"]
    assert tomli.loads(write("pixi", stack, tmp_path)["pixi.toml"])["pypi-options"]["no-build-isolation"] == [
        "flash-attn"
    ]
    conda = write("conda", stack, tmp_path)
    assert "flash-attn" not in conda["environment.yml"]  # a requirements file has no word for it
    assert "--no-build-isolation flash-attn==2.8.3" in conda["conda.sh"]
    assert "TORCH_CUDA_ARCH_LIST=12.0" in write("venv", stack, tmp_path)["venv.sh"]


def test_a_plan_without_the_gpu_asks_for_none(tmp_path: Path) -> None:
    for target in TARGETS:
        text = "".join(write(target, PLANS["no-gpu"], tmp_path).values())
        assert "nvidia-smi" not in text
        assert "CONDA_OVERRIDE_CUDA" not in text
    assert tomli.loads(write("pixi", PLANS["no-gpu"], tmp_path)["pixi.toml"])["workspace"]["platforms"] == ["linux-64"]


def test_pixi_takes_no_markers_so_they_are_decided_for_the_plans_platform(tmp_path: Path) -> None:
    packages = ('a; sys_platform == "win32"', 'b[x]>=1; sys_platform == "linux"', 'c; python_version < "3.9"')
    pixi = tomli.loads(write("pixi", changed("rtx5090", packages=packages), tmp_path)["pixi.toml"])
    assert pixi["pypi-dependencies"] == {
        "torch": "==2.15.0",
        "torchvision": f"=={PLANS['rtx5090'].torchvision}",
        "b": {"version": ">=1", "extras": ["x"]},
    }
    git = tomli.loads(write("pixi", ALL["git"], tmp_path)["pixi.toml"])["pypi-dependencies"]
    assert git["a"] == {"git": "https://git@example.org/a.git", "rev": "v1"}
    assert git["b"] == {"url": "https://example.org/b.whl"}


def test_a_machine_with_an_older_c_library_says_so_to_pixi(tmp_path: Path) -> None:
    (platform,) = tomli.loads(write("pixi", PLANS["old-system"], tmp_path)["pixi.toml"])["workspace"]["platforms"]
    assert platform == {"platform": "linux-64", "cuda": "11.0", "glibc": "2.27"}


def test_a_platform_that_pixi_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match="pixi has no platform"):
        render("pixi", changed("rtx5090", platform="freebsd_amd64"))


def test_conda_names_what_is_read_as_text(tmp_path: Path) -> None:
    document = yaml.safe_load(write("conda", changed("no-gpu", python="3.10"), tmp_path)["environment.yml"])
    assert document["dependencies"][0] == "python=3.10"
