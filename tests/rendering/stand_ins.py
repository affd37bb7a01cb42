"""What stands in for what is not Debian's, or too large: Ubuntu's images and its Python, and torch for CUDA."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from envdoctor.knowledge import load
from tests.rendering.tools import tool
from tests.targets import STUB

SUITE, PYTHON = "bookworm", "3.11"
"""Debian's release, and its Python."""


# --- Images ------------------------------------------------------------------------------------------------------------


def dress(reference: str, context: Path) -> Path | None:
    """A build context that makes the bare stand-in into that image, as far as Dockerfiles rely on it; None where it is one.

    Ubuntu's have a user of UID 1000 and another Python to install; nvidia/cuda's devel ones the toolkit.
    """
    system = re.search(r"ubuntu:?([\d.]+)", reference)
    if system is None:
        return None
    context.mkdir()
    python = load().system(f"ubuntu{system[1]}").python
    assert python is not None
    _python_packages(context / "packages", python)
    lines = [
        "FROM stand-in",
        "COPY packages /opt/packages",
        "RUN echo 'deb [trusted=yes] file:/opt/packages ./' >> /etc/apt/sources.list && useradd --create-home --uid 1000 ubuntu",
    ]
    if toolkit := re.fullmatch(r"nvidia/cuda:(\d+\.\d+)\.\d+-devel-.*", reference):
        where = f"/usr/local/cuda-{toolkit[1]}/bin"
        lines.append(
            f"RUN mkdir -p {where} && printf '#!/bin/sh\\necho release {toolkit[1]}\\n' > {where}/nvcc && chmod 755 {where}/nvcc"
        )
    (context / "Dockerfile").write_text("\n".join(lines) + "\n")
    return context


def _python_packages(folder: Path, python: str) -> None:
    """A repository of Debian packages by the names of another Python, which bring Debian's own."""
    folder.mkdir()
    index = []
    for suffix in ("", "-dev", "-venv"):
        name = f"python{python}{suffix}"
        tree = folder.parent / name
        (tree / "DEBIAN").mkdir(parents=True)
        control = (
            f"Package: {name}\nVersion: {python}\nArchitecture: all\nMaintainer: tests\n"
            f"Depends: python{PYTHON}{suffix}\nDescription: stand-in\n"
        )
        (tree / "DEBIAN/control").write_text(control)
        if not suffix:
            (tree / "usr/bin").mkdir(parents=True)
            (tree / f"usr/bin/python{python}").symlink_to(f"python{PYTHON}")
        package = folder / f"{name}.deb"
        command: list[str | Path] = [tool("dpkg-deb"), "--root-owner-group", "--build", tree, package]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        content = package.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        index.append(f"{control}Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {digest}\n")
    (folder / "Packages").write_text("\n".join(index))


# --- Wheels ------------------------------------------------------------------------------------------------------------


def wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: Sequence[str] = ()) -> None:
    """A wheel of those files."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    metadata = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
    everything = {
        **files,
        f"{info}/METADATA": "Metadata-Version: 2.1\n" + "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{file},,\n" for file in (*everything, f"{info}/RECORD"))
    with zipfile.ZipFile(folder / f"{name.replace('-', '_')}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in {**everything, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)


def torch_for_cuda(folder: Path, torch: str, torchvision: str, torchaudio: str, cuda: str) -> None:
    """A torch for that CUDA of a few kilobytes (fakes/stub_torch.py), what goes with it, and a library that it brings."""
    local = f"{torch}+cu{cuda.replace('.', '')}"
    facts = f"__version__ = {local!r}\ncuda = {cuda!r}\ndebug = False\nhip = None\ngit_version = ''\n"
    files = {
        "torch/__init__.py": STUB.read_text(),
        "torch/version.py": facts,
        "torch/behaviour.json": json.dumps({"devices": []}),
    }
    wheel(folder, "nvidia-standin", "1.0", {})
    wheel(folder, "nvidia-standin", "2.0", {})
    wheel(folder, "torch", local, files, ["nvidia-standin<2"])
    torchvision_for(folder, torchvision, torch)
    spoken = {"torchaudio/__init__.py": f"__version__ = {torchaudio!r}\n"}
    wheel(folder, "torchaudio", torchaudio, spoken, [f"torch=={torch}"])


def torchvision_for(folder: Path, torchvision: str, torch: str) -> None:
    """A torchvision without operators, bound to its torch as the real one is."""
    wheel(
        folder,
        "torchvision",
        torchvision,
        {"torchvision/__init__.py": f"__version__ = {torchvision!r}\n"},
        [f"torch=={torch}"],
    )


def extension(folder: Path) -> None:
    """The source of envdoctor-probe 1.0, which compiles C against the installed torch and asks nvcc, as CUDA extensions do.

    No isolated build would have that torch. It says what it was compiled for: probe.arch_list.
    """
    setup = (
        "import os, subprocess, torch\nfrom setuptools import Extension, setup\n"
        "arch = os.environ['TORCH_CUDA_ARCH_LIST']\n"
        "said = subprocess.check_output([os.environ['CUDA_HOME'] + '/bin/nvcc', '--version'], text=True)\n"
        "assert torch.version.cuda in said, said\n"
        "setup(name='envdoctor-probe', version='1.0', "
        "ext_modules=[Extension('probe', ['probe.c'], define_macros=[('ARCH', '\"%s\"' % arch)])])\n"
    )
    source = (
        "#include <Python.h>\n"
        'static struct PyModuleDef m = {PyModuleDef_HEAD_INIT, "probe", 0, -1, 0};\n'
        "PyMODINIT_FUNC PyInit_probe(void) {\n"
        '  PyObject *o = PyModule_Create(&m); PyModule_AddStringConstant(o, "arch_list", ARCH); return o; }\n'
    )
    metadata = "Metadata-Version: 2.1\nName: envdoctor-probe\nVersion: 1.0\n"
    with tarfile.open(folder / "envdoctor_probe-1.0.tar.gz", "w:gz") as archive:
        for name, text in {"setup.py": setup, "probe.c": source, "PKG-INFO": metadata}.items():
            entry = tarfile.TarInfo(f"envdoctor_probe-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
