"""Compiles the fake driver libraries with the machine's C compiler, or PyPI's, once for each version of their source."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

SOURCES = Path(__file__).parent / "c"
SONAMES = {"nvml": "libnvidia-ml.so.1", "cuda": "libcuda.so.1", "stand_in": "libstand_in.so"}
CACHE = Path(__file__).parents[2] / ".cache" / "fakes"


def compiler() -> list[str]:
    """The command of the C compiler: the machine's, or zig's, which comes as a wheel."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (found := shutil.which(name)):
            return [found]
    if importlib.util.find_spec("ziglang") is None:
        raise FileNotFoundError("no C compiler: install one, or that of the extra: pip install -e .[compiler]")
    # A fault that is planted must be the machine's own: zig's sanitizer would make another signal of it.
    return [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"]


def compile_here(folder: Path, *arguments: str, cache: Path = CACHE) -> None:
    """Compiles a shared object in that folder."""
    zig = {f"ZIG_{place}_CACHE_DIR": str(cache / "zig") for place in ("GLOBAL", "LOCAL")}
    command = [*compiler(), "-shared", *arguments]
    subprocess.run(command, cwd=folder, check=True, timeout=120, env={**os.environ, **zig})


def build(library: str, without: Collection[str] = (), cache: Path = CACHE) -> Path:
    """The compiled library ('nvml', 'cuda' or 'stand_in'), lacking the functions `without`, as that of an older driver does."""
    source = SOURCES / f"{library}.c"
    digest = hashlib.sha256(b"\0".join([source.read_bytes(), (SOURCES / "scenario.h").read_bytes(), __file__.encode()]))
    digest.update("\0".join(sorted(without)).encode())
    target = cache / f"{library}-{digest.hexdigest()[:16]}.so"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        made = Path(folder) / "library.so"
        command = [
            "-fPIC",
            "-O1",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-fvisibility=hidden",
            "-o",
            str(made),
        ]
        command += [str(source), f"-Wl,-soname,{SONAMES[library]}", "-ldl"]
        if without:
            script = Path(folder) / "symbols"
            script.write_text("{ local: " + "; ".join(sorted(without)) + "; };\n")
            command.append(f"-Wl,--version-script={script}")
        compile_here(Path(folder), *command, cache=cache)
        made.replace(target)  # at once, so that a parallel test run never sees half a library
    return target
