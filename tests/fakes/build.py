"""Compiles the fake driver libraries with the system's C compiler, once for each version of their source."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Collection
from pathlib import Path

SOURCES = Path(__file__).parent / "c"
SONAMES = {"nvml": "libnvidia-ml.so.1", "cuda": "libcuda.so.1", "stand_in": "libstand_in.so"}
CACHE = Path(__file__).parents[2] / ".cache" / "fakes"


def compiler() -> str | None:
    """The C compiler, or None where a test must be skipped for want of one."""
    return shutil.which(os.environ.get("CC") or "cc")


def build(library: str, without: Collection[str] = (), cache: Path = CACHE) -> Path:
    """The compiled library ('nvml', 'cuda' or 'stand_in'), lacking the functions `without`, as that of an older driver does."""
    source = SOURCES / f"{library}.c"
    digest = hashlib.sha256(b"\0".join([source.read_bytes(), (SOURCES / "scenario.h").read_bytes(), __file__.encode()]))
    digest.update("\0".join(sorted(without)).encode())
    target = cache / f"{library}-{digest.hexdigest()[:16]}.so"
    if target.exists():
        return target
    cc = compiler()
    if cc is None:
        raise FileNotFoundError("no C compiler")
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        made = Path(folder) / "library.so"
        command = [cc, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden", "-o", str(made)]
        command += [str(source), f"-Wl,-soname,{SONAMES[library]}", "-ldl"]
        if without:
            script = Path(folder) / "symbols"
            script.write_text("{ local: " + "; ".join(sorted(without)) + "; };\n")
            command.append(f"-Wl,--version-script={script}")
        subprocess.run(command, check=True, timeout=120)
        made.replace(target)  # at once, so that a parallel test run never sees half a library
    return target
