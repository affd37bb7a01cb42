"""What `recipe` writes for a machine, `check FILE` finds no fault with on that machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import load
from envdoctor.linting import readers
from envdoctor.linting.linter import lint
from envdoctor.planning.planner import plan
from envdoctor.planning.target import describe, for_image
from envdoctor.planning.wishes import checked
from envdoctor.rendering import catalogue
from envdoctor.rendering.model import Options
from tests.diagnosis.snapshots import UBUNTU, gpu, interpreter, machine, module, nvml

FORMS = {
    "docker": ("Dockerfile",),
    "compose": ("compose.yaml", "Dockerfile"),
    "requirements": ("requirements.txt",),
    "uv": ("pyproject.toml",),
    "conda": ("environment.yml",),
}
IN_AN_IMAGE = ("docker", "compose")


class Case(NamedTuple):
    gpus: tuple[tuple[str, str, str], ...]
    """(words of the command line, name that NVML reports, capability)"""
    driver: str
    wishes: Mapping[str, Any] = MappingProxyType({})

    def __str__(self) -> str:
        words = "+".join(name for name, _, _ in self.gpus)
        return "-".join([words, self.driver, *map(str, self.wishes.values())]).replace(" ", "")

    @property
    def snapshot(self) -> Snapshot:
        cards = [gpu(name, capability, index) for index, (_, name, capability) in enumerate(self.gpus)]
        return machine(
            pci=None,
            host=UBUNTU,
            driver=module(self.driver),
            nvml=nvml(*cards, driver=self.driver),
            interpreter=interpreter(version=self.wishes.get("python", "3.12") + ".3"),
        )


RTX_5090 = ("RTX 5090", "NVIDIA GeForce RTX 5090", "12.0")
RTX_3090 = ("RTX 3090", "NVIDIA GeForce RTX 3090", "8.6")
H100 = ("H100", "NVIDIA H100 80GB HBM3", "9.0")
V100 = ("V100", "Tesla V100-SXM2-16GB", "7.0")
GTX_1080 = ("GTX 1080", "NVIDIA GeForce GTX 1080", "6.1")
T4 = ("T4", "Tesla T4", "7.5")
K80 = ("K80", "Tesla K80", "3.7")
CASES = [
    Case((RTX_5090,), "580.95.05"),
    Case((RTX_5090,), "580.95.05", {"purpose": "build-extensions"}),
    Case((RTX_5090, RTX_3090), "570.195.03"),
    Case((RTX_5090,), "570.195.03", {"cuda": "12.8"}),
    Case((H100,) * 8, "535.183.01", {"purpose": "train"}),
    Case((H100,), "610.43.02", {"purpose": "build-extensions"}),
    Case((V100,), "535.183.01"),
    Case((V100,), "535.183.01", {"purpose": "build-extensions"}),
    Case((GTX_1080,), "550.163.01", {"python": "3.11"}),
    Case((T4,), "525.147.05", {"torch": ">=2.6"}),
    Case((RTX_3090,), "470.256.02", {"python": "3.10", "torch": ">=2.0"}),
    Case((K80,), "470.256.02", {"python": "3.10"}),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_recipe_passes_the_check_of_files_on_its_own_machine(case: Case, form: str, tmp_path: Path) -> None:
    world = load()
    target = describe(world, gpus=[name for name, _, _ in case.gpus], driver=case.driver, os="ubuntu24.04")
    image = form in IN_AN_IMAGE
    planned = plan(for_image(target) if image else target, checked(world, container=image, **case.wishes), world)
    assert planned.stack is not None, planned.reasons
    files = catalogue.render(form, planned.stack, Options(arguments=()))
    for file in files:
        path = tmp_path / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    names = [str(tmp_path / name) for name in FORMS[form] if (tmp_path / name).exists()]
    assert names
    found = lint([readers.read(name) for name in names], case.snapshot, world).findings
    assert not found, [(finding.code, finding.file, finding.line, finding.summary) for finding in found]
