"""Environments for an interpreter to be looked into: without torch, with a stub of it, with the real one.

Bare and stub environments are made in the folder that is given, in a tenth of a second. Those with the real torch are made
once and kept in ENVDOCTOR_TEST_CACHE (by default in the user's cache), for they take gigabytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs
import pytest

STUB = Path(__file__).parent / "fakes" / "stub_torch.py"
H100: dict[str, Any] = {"name": "NVIDIA H100 80GB HBM3", "capability": "9.0", "memory": 80 << 30}
# Where pip finds CPU builds that PyPI does not have.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
WITH_TORCHVISION = ("2.15.0",)
_impossible: dict[str, str] = {}
"""Why this run could not make an environment, by its name."""


@dataclass(frozen=True)
class Target:
    """A virtual environment."""

    prefix: Path

    @property
    def python(self) -> Path:
        return self.prefix / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def site(self) -> Path:
        """Its site-packages folder."""
        if os.name == "nt":
            return self.prefix / "Lib/site-packages"
        return next((self.prefix / "lib").glob("*/site-packages"))

    def write(self, name: str, content: str | bytes = "") -> Path:
        """A file in site-packages."""
        path = self.site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def install(
        self,
        name: str,
        version: str,
        *requires: str,
        installer: str = "pip",
        files: Mapping[str, str | bytes] | None = None,
        **metadata: str,
    ) -> Path:
        """A distribution with its metadata and files, as an installer leaves it; `metadata`: more files of its dist-info."""
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        headers = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
        self.write(f"{info}/METADATA", "Metadata-Version: 2.4\n" + "\n".join(headers) + "\n\nA description: of it.\n")
        self.write(f"{info}/INSTALLER", f"{installer}\n")
        for file, text in metadata.items():
            self.write(f"{info}/{file.replace('_json', '.json')}", text)
        record = []
        for file, content in (files or {}).items():
            path = self.write(file, content)
            record.append(f"{file},sha256=AAAA,{path.stat().st_size}")
        self.write(f"{info}/RECORD", "\n".join([*record, f"{info}/METADATA,,", f"{info}/RECORD,,"]) + "\n")
        return self.site / info


def bare_environment(folder: Path, python: str | Path = sys.executable) -> Target:
    """A virtual environment with nothing in it, not even pip."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    return Target(folder)


def stub_torch_environment(
    folder: Path,
    version: str = "2.15.0+cu132",
    cuda: str | None = "13.2",
    *,
    gpus: Sequence[Mapping[str, object]] = (),
    requires: Sequence[str] = (),
    hip: str | None = None,
    python: str | Path = sys.executable,
    **behaviour: object,
) -> Target:
    """An environment with a torch that does what `behaviour` says: see fakes/stub_torch.py.

    Where (importing, is_available, init, properties, mm, conv2d, cudnn, to_cuda_0) = what: 'crash', 'hang', 'exit 3',
    'raise TEXT', 'abort TEXT', 'warn TEXT', 'print TEXT', 'wrong'.
    """
    target = bare_environment(folder, python)
    install_stub_torch(target, version, cuda, gpus=gpus, requires=requires, hip=hip, **behaviour)
    return target


def install_stub_torch(
    target: Target,
    version: str = "2.15.0+cu132",
    cuda: str | None = "13.2",
    *,
    gpus: Sequence[Mapping[str, object]] = (),
    requires: Sequence[str] = (),
    hip: str | None = None,
    **behaviour: object,
) -> None:
    places = {place.replace("to_cuda_", "to cuda:"): what for place, what in behaviour.items()}
    facts = {"debug": False, "cuda": cuda, "git_version": "d0f2af8b66b20da4baa50644c0cd3f887a2eae2e", "hip": hip}
    lines = [f"__version__ = {version!r}", *(f"{name} = {value!r}" for name, value in facts.items())]
    target.install(
        "torch",
        version.partition("+")[0],
        *requires,
        files={
            "torch/__init__.py": STUB.read_bytes(),
            "torch/version.py": "\n".join(lines) + "\n",
            "torch/behaviour.json": json.dumps({"devices": list(gpus), **places}),
        },
    )


def installed_pythons() -> dict[str, Path]:
    """The Pythons of this machine by release ('3.8'), from PATH and pyenv."""
    found: dict[str, Path] = {}
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for path in sorted(versions.glob("*/bin/python")):
        release = ".".join(path.parts[-3].split(".")[:2])
        found[release] = path
    for minor in range(8, 17):
        on_path = shutil.which(f"python3.{minor}")
        if on_path is not None and "/shims/" not in on_path:
            found.setdefault(f"3.{minor}", Path(on_path))
    return found


# --- the real torch ----------------------------------------------------------------------------------------------------


def real_torch(version: str, *more: str) -> Target:
    """A kept environment with that torch ('2.15.0', '2.13.0+cpu'); skips the test where it cannot be made.

    With `more` requirements ('onnx', '--no-deps mlxtend'), which must not need torch: an environment of their own that sees
    the other's torch.
    """
    if not more:
        wanted = [f"torch=={version}", *(["torchvision"] if version in WITH_TORCHVISION else [])]
        return _kept(f"torch-{version.replace('+', '-')}", [wanted], cpu=version.endswith("+cpu"))
    base = real_torch(version)
    names = "-".join(words.split()[-1] for words in more)
    target = _kept(f"{base.prefix.name}-with-{names}", [words.split() for words in more])
    target.write("torch_of_another_environment.pth", f"{base.site}\n")
    return target


def _kept(name: str, installs: Sequence[Sequence[str]], *, cpu: bool = False) -> Target:
    """The environment of that name in the cache, made by these calls of pip where it is not there yet."""
    folder = Path(os.environ.get("ENVDOCTOR_TEST_CACHE") or platformdirs.user_cache_dir("envdoctor-tests")) / name
    # While this file lies beside it, it is half-made.
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    if name in _impossible:
        pytest.skip(_impossible[name])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f"{folder.name}.lock")):
        if unfinished.exists():
            shutil.rmtree(folder, ignore_errors=True)
        if not Target(folder).python.exists():
            unfinished.touch()
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
            for wanted in installs:
                _install(name, Target(folder), wanted, ([], ["--index-url", CPU_INDEX]) if cpu else ([],))
            unfinished.unlink()
    return Target(folder)


def _install(name: str, target: Target, wanted: Sequence[str], places: Sequence[Sequence[str]]) -> None:
    errors = []
    for place in places:
        options = ["--quiet", "--retries", "1", "--timeout", "20", *place, *wanted]
        try:
            done = subprocess.run(
                [target.python, "-m", "pip", "install", *options],
                check=False,
                capture_output=True,
                text=True,
                timeout=1800,
            )
        except subprocess.TimeoutExpired:
            errors.append("no end within half an hour")
            continue
        if done.returncode == 0:
            return
        errors.append(next(reversed(done.stderr.strip().splitlines()), f"exit code {done.returncode}"))
    _impossible[name] = f"{' '.join(wanted)} cannot be installed here: {'; '.join(errors)}"
    pytest.skip(_impossible[name])


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One at a time, over all processes; a lock that a dead process held is free."""
    fcntl = pytest.importorskip("fcntl", reason="environments with the real torch are made on POSIX only")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
