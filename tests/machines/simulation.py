"""One simulated machine, and the real command run on it."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fakes.driver import FakeDriver
from tests.sysroot import Sysroot
from tests.targets import Target, bare_environment, install_stub_torch

DRIVER_FOLDER = "usr/lib/x86_64-linux-gnu"
# All that a simulated machine has of the environment around it; the rest is its own.
OWN = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}


@dataclass(frozen=True)
class Case:
    """A machine and its verdict.

    `torch`: arguments of install_stub_torch; None is an environment without torch. `driver`: what NVML and libcuda
    answer; None where there is none. `near`: codes whose fault this machine only resembles. `never`: further codes that
    would be a wrong diagnosis of it. Neither may be found, at any severity.
    """

    name: str
    files: Callable[[Path], Sysroot] | None = None
    primary: str | None = None
    level: str = "error"
    """Of the primary finding."""
    driver: FakeDriver | None = None
    torch: Mapping[str, Any] | None = field(default_factory=dict)
    packages: tuple[tuple[str, ...], ...] = ()
    """More distributions: name, version, then requirements."""
    furnish: Callable[[Target], object] | None = None
    """What else is put into the environment."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables; {root}, {env} and {here} are the folders of the machine, the environment and the command's start."""
    text: str | None = None
    """A pasted text in place of a machine, for what no Linux file system shows."""
    near: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    """Root causes besides the primary one that this machine really has, in the report's order."""
    options: tuple[str, ...] = ()
    unknown: bool = False
    """There is no error, and too little is shown to call the machine healthy."""


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
    root, here = folder / "root", folder / "here"
    here.mkdir()
    places = {"root": str(root), "env": str(folder / "env"), "here": str(here)}
    if case.text is not None:
        return _run(["--from", "-", *case.options], OWN, here, stdin=case.text)
    assert case.files is not None
    case.files(root)
    if case.driver is not None:
        _install_driver(case.driver, root)
    target = environment(folder / "env")
    if case.torch is not None:
        install_stub_torch(target, **case.torch)
    for name, version, *requires in case.packages:
        target.install(name, version, *requires)
    if case.furnish is not None:
        case.furnish(target)
    variables = {name: value.format(**places) for name, value in case.environment.items()}
    own = {**OWN, "HOME": str(folder), "ENVDOCTOR_SYSROOT": str(root), **variables}
    return _run(["--python", str(target.prefix), *case.options], own, here)


def _run(arguments: list[str], variables: Mapping[str, str], cwd: Path, stdin: str | None = None) -> Verdict:
    command = [sys.executable, "-m", "envdoctor", "check", "--format", "json", *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=dict(variables),
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return Verdict(done.returncode, json.loads(done.stdout), done.stderr)


def _install_driver(driver: FakeDriver, root: Path) -> None:
    """Puts the fakes where the machine keeps its driver's libraries, in place of the files that stood for them."""
    found = sorted(
        file
        for name in ("libcuda.so.*", "libnvidia-ml.so.*")
        for file in (root / "usr/lib").rglob(name)
        if "compat" not in file.parts and "stubs" not in file.parts
    )
    folder = found[0].parent if found else root / DRIVER_FOLDER
    if not found and (root / "usr/lib64").exists():
        folder = root / "usr/lib64"
    for stem in ("libcuda.so", "libnvidia-ml.so"):
        for stale in folder.glob(f"{stem}*"):
            stale.unlink()
    driver.install(folder)


_making = threading.Lock()


@functools.cache
def _template() -> Path:
    """A bare environment to copy: making one takes ten times as long."""
    folder = Path(tempfile.mkdtemp(prefix="envdoctor-machines-"))
    bare_environment(folder / "env")
    return folder / "env"


def environment(folder: Path) -> Target:
    """A virtual environment with nothing in it."""
    with _making:
        template = _template()
    shutil.copytree(template, folder, symlinks=True)
    return Target(folder)


def discard_template() -> None:
    if _template.cache_info().currsize:
        shutil.rmtree(_template().parent, ignore_errors=True)
        _template.cache_clear()


def stand_in(target: Target | Path, *names: str) -> None:
    """Loadable libraries with nothing in them, in an environment's site-packages or in a folder."""
    from tests.fakes.build import build

    for name in names:
        path = (target.site if isinstance(target, Target) else target) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(build("stand_in"), path)


def usable_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
