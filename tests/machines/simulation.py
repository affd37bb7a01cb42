"""One simulated machine, and the real command run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.driver import FakeDriver
from tests.sysroot import Sysroot
from tests.targets import bare_environment, stub_torch_environment

DRIVER_FOLDER = "usr/lib/x86_64-linux-gnu"
# Whatever of this machine's own environment could reach the simulated one.
FOREIGN = ("LD_LIBRARY_PATH", "LD_PRELOAD", "VIRTUAL_ENV", "CONDA_PREFIX", "CUDA_HOME", "CUDA_PATH", "PYTHONPATH")


@dataclass(frozen=True)
class Case:
    """A machine and its verdict.

    `torch`: arguments of stub_torch_environment; None is an environment without torch. `driver`: what NVML and libcuda
    answer; None where there is none. `never`: codes that must not be found, at any severity.
    """

    name: str
    files: Callable[[Path], Sysroot]
    primary: str | None
    driver: FakeDriver | None = None
    torch: Mapping[str, Any] | None = field(default_factory=dict)
    packages: tuple[tuple[str, ...], ...] = ()
    """More distributions: name, version, then requirements."""
    environment: Mapping[str, str] = field(default_factory=dict)
    never: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the command said."""

    code: int
    report: dict[str, Any]
    stderr: str

    @property
    def codes(self) -> list[str]:
        return [finding["code"] for finding in self.report["findings"]]


def check(case: Case, folder: Path) -> Verdict:
    """Runs `envdoctor check --format json` on the machine, through its real door."""
    root = case.files(folder / "root").root
    if case.driver is not None:
        for stale in (root / DRIVER_FOLDER).glob("libcuda.so*"), (root / DRIVER_FOLDER).glob("libnvidia-ml.so*"):
            for file in stale:
                file.unlink()
        case.driver.install(root / DRIVER_FOLDER)
    target = (
        bare_environment(folder / "env") if case.torch is None else stub_torch_environment(folder / "env", **case.torch)
    )
    for name, version, *requires in case.packages:
        target.install(name, version, *requires)
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment = {n: v for n, v in environment.items() if not n.startswith(("CUDA_", "NVIDIA_", "SLURM_"))}
    environment |= {"ENVDOCTOR_SYSROOT": str(root), **case.environment}
    command = [sys.executable, "-m", "envdoctor", "check", "--format", "json", "--python", target.prefix, *case.options]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, timeout=120, check=False
    )
    assert done.stdout, done.stderr
    return Verdict(done.returncode, json.loads(done.stdout), done.stderr)
