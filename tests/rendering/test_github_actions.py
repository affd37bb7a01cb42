"""The workflow: it is one that GitHub reads, pinned, without rights that it does not need."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.catalogue import render
from tests.rendering.plans import plans
from tests.rendering.tools import check_with
from tests.targets import stub_torch_environment

LINUX_PLANS = [name for name, plan in plans().items() if plan.platform.startswith("linux")]
YAMLLINT = "{extends: default, rules: {line-length: {max: 130}, truthy: {check-keys: false}}}"


def stack(name: str = "rtx5090", **changes: Any) -> Stack:
    return msgspec.structs.replace(plans()[name], **changes)


def files(plan: Stack) -> dict[str, str]:
    return {file.path: file.text for file in render("github-actions", plan)}


def workflow(plan: Stack) -> dict[str, Any]:
    # YAML 1.1 reads the key `on` as true.
    loaded: dict[str, Any] = yaml.safe_load(files(plan)[".github/workflows/torch.yml"].replace("\non:", '\n"on":'))
    return loaded


def test_every_workflow_passes_the_schema_and_yamllint(tmp_path: Path) -> None:
    written = []
    for name in LINUX_PLANS:
        written.append(tmp_path / f"{name}.yml")
        written[-1].write_text(files(stack(name))[".github/workflows/torch.yml"])
    check_with("check-jsonschema", "--builtin-schema", "vendor.github-workflows", files=written)
    check_with("yamllint", "--strict", "-d", YAMLLINT, files=written)


def test_the_shell_in_every_step_passes_shellcheck(tmp_path: Path) -> None:
    scripts = []
    for name in LINUX_PLANS:
        for job, content in workflow(stack(name))["jobs"].items():
            for number, step in enumerate(content["steps"]):
                if "run" in step:
                    scripts.append(tmp_path / f"{name}-{job}-{number}.sh")
                    scripts[-1].write_text(step["run"])
    check_with("shellcheck", "--shell=bash", "--severity=style", files=scripts)


@pytest.mark.parametrize("name", LINUX_PLANS)
def test_nothing_floats_and_no_right_is_asked_for(name: str) -> None:
    loaded = workflow(stack(name))
    assert loaded["permissions"] == {"contents": "read"}
    for job in loaded["jobs"].values():
        assert job["timeout-minutes"] <= 30
        for step in job["steps"]:
            if "uses" in step:
                assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", step["uses"])
                assert "checkout" not in step["uses"] or step["with"] == {"persist-credentials": False}


def test_the_gpu_job_never_runs_a_strangers_pull_request() -> None:
    condition = workflow(stack())["jobs"]["gpu"]["if"]
    assert "github.event.pull_request.head.repo.full_name == github.repository" in condition
    assert "vars.GPU_RUNNER == 'true'" in condition


def test_the_cpu_job_takes_the_same_torch_built_for_cpus_where_there_is_one() -> None:
    with_build = files(stack("v100"))
    pins, cpu_pins = (with_build[f"{folder}/requirements.txt"] for folder in (".github/torch", ".github/torch-cpu"))
    (wanted,) = re.findall(r"^torch==([\d.]+)", pins, re.MULTILINE)
    assert re.findall(r"^torch==([\d.]+)", cpu_pins, re.MULTILINE) == [wanted]
    assert "--index-url https://download.pytorch.org/whl/cpu" in cpu_pins
    without = files(stack("rtx5090"))
    assert f"no CPU build of torch {stack('rtx5090').torch} is known" in without[".github/workflows/torch.yml"]


def test_a_plan_without_gpu_has_no_gpu_job() -> None:
    assert list(workflow(stack("no-gpu"))["jobs"]) == ["cpu"]
    assert not any(path.startswith(".github/torch/") for path in files(stack("no-gpu")))


def test_every_file_that_a_step_names_is_written() -> None:
    for name in LINUX_PLANS:
        written = files(stack(name))
        named = set(re.findall(r"\.github/torch[\w-]*/[\w.-]+\.(?:txt|py)", written[".github/workflows/torch.yml"]))
        assert named <= set(written)
        assert set(written) - named == {".github/workflows/torch.yml"}


def test_the_proof_refuses_another_torch(tmp_path: Path) -> None:
    target = stub_torch_environment(tmp_path / "environment", version="2.1.0+cu121", cuda="12.1")
    proof = tmp_path / "verify.py"
    proof.write_text(files(stack())[".github/torch/verify.py"])
    done = subprocess.run([target.python, proof], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert f"torch is 2.1.0+cu121, the plan says {stack().torch}" in done.stderr


def test_other_systems_than_linux_are_refused() -> None:
    with pytest.raises(InputError, match="Linux runners"):
        render("github-actions", stack("windows"))
