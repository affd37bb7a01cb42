"""The table against a torch that is really installed: what the table says of that release must be what it says itself.

ENVDOCTOR_TEST_TORCH_PYTHON names an interpreter with another torch than the one that the tests have.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from packaging.requirements import Requirement

from envdoctor.knowledge import TorchBuild, load
from tests import real_torch

pytestmark = pytest.mark.torch
ASK = """
import importlib.metadata as metadata, json, platform, sys
import torch
flags = torch._C._cuda_getArchFlags() if hasattr(torch._C, "_cuda_getArchFlags") else None
rules = getattr(torch.cuda, "DEVICE_REQUIREMENT", {})
print(json.dumps({
    "version": torch.__version__,
    "cuda": torch.version.cuda,
    "flags": flags,
    "requires": metadata.requires("torch"),
    "abi": torch._C._GLIBCXX_USE_CXX11_ABI,
    "machine": platform.machine(),
    "system": sys.platform,
    "python": "%d.%d" % sys.version_info[:2],
    "rules": {str(code): [device for device in range(50, 130) if device in allowed] for code, allowed in rules.items()},
    "unified": {
        str(code): [device for device in range(50, 130) if device in allowed]
        for code, allowed in getattr(torch.cuda, "DEVICE_REQUIREMENT_POST_JETSON_SBSA_UNIFICATION", {}).items()
    },
}))
"""


@pytest.fixture(scope="module")
def torch() -> dict[str, Any]:
    python = os.environ.get("ENVDOCTOR_TEST_TORCH_PYTHON") or real_torch.environment().python
    done = subprocess.run([python, "-c", ASK], capture_output=True, text=True, timeout=240, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.fixture(scope="module")
def build(torch: dict[str, Any]) -> TorchBuild:
    release, _, variant = torch["version"].partition("+")
    platform = "windows_amd64" if torch["system"] == "win32" else f"linux_{torch['machine']}"
    for build in load().torch_builds(release):
        if build.variant == (variant or "cpu") and build.platform == platform:
            return build
    pytest.fail(f"torch {torch['version']} for {platform} is installed and not in the table")


def test_it_runs_where_the_table_says_it_has_wheels(torch: dict[str, Any], build: TorchBuild) -> None:
    assert torch["python"] in build.python_tags


def test_its_cuda_and_its_device_code_are_those_of_the_table(torch: dict[str, Any], build: TorchBuild) -> None:
    assert build.cuda == torch["cuda"]
    if torch["flags"] is not None:
        assert " ".join(build.arch_flags) == torch["flags"]


def test_its_pins_are_those_of_the_table(torch: dict[str, Any], build: TorchBuild) -> None:
    pins = {requirement.name: requirement for requirement in map(Requirement, torch["requires"])}
    for text in build.requires:
        in_table = Requirement(text)
        installed = pins[in_table.name]
        assert (installed.specifier, installed.extras) == (in_table.specifier, in_table.extras)


def test_its_abi_is_that_of_the_table(torch: dict[str, Any], build: TorchBuild) -> None:
    assert build.cxx11_abi in (None, torch["abi"])


@pytest.mark.parametrize(("table", "cuda"), [("rules", "12.6"), ("unified", "13.2")])
def test_its_rules_of_device_code_are_ours(torch: dict[str, Any], table: str, cuda: str) -> None:
    if not torch[table]:
        pytest.skip("this torch has no such table")
    known = {record.capability for record in load().architectures()}
    for code, devices in torch[table].items():
        for device in range(50, 130):
            capability = f"{device // 10}.{device % 10}"
            if capability in known:
                assert load().runs_on([f"sm_{code}"], capability, cuda) is (device in devices), (code, capability)
