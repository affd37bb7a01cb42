"""Builds envdoctor.pyz: `python -m envdoctor.distribution.pyz WHEEL -o dist/envdoctor.pyz` (`make dist`).

One file for every Python from 3.10 on, with all that envdoctor needs. Most of that is pure. msgspec and psutil are compiled:
their wheels for each platform and Python are in it, and start.py takes those that fit. docs/distribution.md has the figures.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

START = Path(__file__).with_name("start.py")
COMPILED = ("msgspec", "psutil")
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.14t", "3.15", "3.15t")
"""Those that msgspec has wheels for."""
PLATFORMS = {
    "linux-x86_64": ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"),
    "linux-aarch64": ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64"),
}
"""`sys.platform`-`platform.machine()`, and the wheels' names for it."""
UNUSED = (
    "bin",
    "**/__pycache__",
    "**/tests",
    "**/*.so",
    "**/*.pyi",
    "**/RECORD",
    "**/INSTALLER",
    "**/direct_url.json",
    "example.py",
)
# The oldest time that a zip archive can hold: the same contents give the same bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)


def build(wheel: Path, output: Path) -> None:
    """Writes `output`. Raises CalledProcessError where pip cannot have a wheel."""
    with tempfile.TemporaryDirectory() as scratch:
        contents = Path(scratch)
        _fill(wheel, contents)
        _write(contents, output)


def _fill(wheel: Path, contents: Path) -> None:
    pure = contents / "pure"
    # Markers are judged by the Python that runs pip, so that what only 3.10 needs is named.
    _install(pure, "3.10", "linux-x86_64", str(wheel), "tomli")
    versions = {name: _version(pure, name) for name in COMPILED}
    for name in COMPILED:
        shutil.rmtree(pure / name)
    for platform in PLATFORMS:
        for python in PYTHONS:
            folder = contents / platform / f"cp{python.replace('.', '')}"
            # psutil's one wheel for all Pythons is kept once; free-threaded Pythons have one of their own.
            free = python.endswith("t")
            names = COMPILED if free else ("msgspec",)
            _install(folder, python, platform, "--no-deps", *(f"{name}=={versions[name]}" for name in names))
        abi3 = contents / platform / "abi3"
        _install(abi3, "3.10", platform, "--no-deps", f"psutil=={versions['psutil']}")
    _thin(contents)


def _install(folder: Path, python: str, platform: str, *what: str) -> None:
    release = python.removesuffix("t")
    platforms = [f"--platform={tag}" for tag in PLATFORMS[platform]]
    abi = [f"--abi=cp{python.replace('.', '')}", *([] if python.endswith("t") else ["--abi=abi3"]), "--abi=none"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    target = ["--target", str(folder), "--only-binary=:all:", "--implementation=cp", f"--python-version={release}"]
    subprocess.run([*pip, *target, *abi, *platforms, *what], check=True)


def _version(folder: Path, name: str) -> str:
    (found,) = folder.glob(f"{name}-*.dist-info")
    return found.name.removeprefix(f"{name}-").removesuffix(".dist-info")


def _thin(contents: Path) -> None:
    """Without what nothing reads: programs, tests, and compiled parts that have a pure stand-in (markupsafe, PyYAML)."""
    for pattern in UNUSED:
        for path in [*contents.glob(f"*/{pattern}"), *contents.glob(f"*/*/{pattern}")]:
            needed = path.suffix == ".so" and path.relative_to(contents).parts[0] != "pure"
            if path.is_dir():
                shutil.rmtree(path)
            elif path.exists() and not needed:
                path.unlink()


def _files(contents: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(contents.rglob("*")):
        if path.is_file():
            yield path.relative_to(contents).as_posix(), path.read_bytes()


def _write(contents: Path, output: Path) -> None:
    digest = hashlib.sha256()
    for name, data in _files(contents):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    start = START.read_text(encoding="utf-8").replace("@DIGEST@", digest.hexdigest()[:16])
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name, data in (("__main__.py", start.encode()), *_files(contents)):
                archive.writestr(zipfile.ZipInfo(name, EPOCH), data, zipfile.ZIP_DEFLATED, 9)
    output.chmod(0o755)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m envdoctor.distribution.pyz", description="Build envdoctor.pyz.")
    parser.add_argument("wheel", type=Path)
    parser.add_argument("-o", "--output", type=Path, default=Path("dist/envdoctor.pyz"))
    asked = parser.parse_args()
    build(asked.wheel, asked.output)
    sys.stdout.write(f"{asked.output}: {asked.output.stat().st_size / 1e6:.1f} MB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
