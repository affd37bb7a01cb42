"""Environments for an interpreter to be looked into: without torch, or with a stub of it; real_torch.py has the real one.

They are made in the folder that is given, in a tenth of a second.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STUB = Path(__file__).parent / "fakes" / "stub_torch.py"
H100: dict[str, Any] = {"name": "NVIDIA H100 80GB HBM3", "capability": "9.0", "memory": 80 << 30}


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

    def at_start(self, code: str) -> None:
        """Code that its Python runs at every start. Not sitecustomize: Debian's Python has one, which hides it."""
        self.write("at_start_of_tests.py", code)
        self.write("at_start_of_tests.pth", "import at_start_of_tests\n")

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
