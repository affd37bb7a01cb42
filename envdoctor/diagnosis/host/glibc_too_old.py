"""The C or C++ library of this system is older than the installed wheel needs.

What it is
    A Linux wheel is built against a version of glibc, which its name tells (manylinux_2_28), and runs on that and newer
    ones. On an older system the import fails with "version `GLIBC_2.28' not found"; the same goes for libstdc++
    (GLIBCXX_...). glibc is part of the operating system and cannot be replaced by itself.

Told apart by
    The loader's words name libc.so.6 (or the system's libstdc++), or the system's glibc is below the tag of the
    installed wheel and the import fails. A libstdc++ that is too old while the system's own is new enough is
    `library-path-conflict`. musl instead of glibc is `platform-unsupported`.

Repair
    The newest torch built for this glibc; a container with a newer system; or the operating system's next release.

Sources
    PEP 600; the wheels' own tags; glibc, elf/dl-version.c
"""

from __future__ import annotations

import re

from packaging.version import InvalidVersion, Version

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import fitting_torch
from envdoctor.diagnosis.repairs.torch_install import install_torch
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import LoaderError, loader_errors
from envdoctor.reading.messages.message_files import beside

_TAG = re.compile(r"manylinux_(\d+)_(\d+)_")


MESSAGES = beside(__file__)


@diagnosis(
    "glibc-too-old",
    layer=Layer.HOST,
    severity=Severity.ERROR,
    follows_from=("platform-unsupported",),
    messages=MESSAGES,
    remedy=lambda machine, world: _fixes(machine, world),  # noqa: PLW0108  it stands below
)
def glibc_too_old(machine: Snapshot, world: Knowledge) -> Finding | None:
    host = machine.host
    if host is not None and (host.glibc == "" or host.system not in (None, "Linux")):
        return None
    glibc = host.glibc if host else None
    error = next((e for e in loader_errors(machine) if _of_the_system(e, machine)), None)
    if error is not None:
        needed = error.wanted.replace("GLIBC_", "glibc ").replace("GLIBCXX_", "libstdc++ with GLIBCXX_")
        return Finding(
            summary=f"{error.provider or 'A library'} needs {needed.replace('CXXABI_', 'libstdc++ with CXXABI_')}; this system's "
            f"{error.stem} is older" + (f" (glibc {glibc})." if glibc else "."),
            evidence=(error.said.evidence(), *((fact("host.glibc", glibc),) if glibc else ())),
            fixes=_fixes(machine, world),
        )
    run = machine.torch.run if machine.torch else None
    wanted = _tagged(machine)
    works = run is not None and run.outcome == "ok"
    if works or wanted is None or glibc is None or _version(glibc) >= _version(wanted):
        return None
    return Finding(
        summary=f"The installed torch was built for glibc {wanted} and newer; this system has {glibc}.",
        evidence=(fact("torch.tag", f"manylinux for glibc {wanted}"), fact("host.glibc", glibc)),
        fixes=_fixes(machine, world),
        confidence=0.8,
    )


def _of_the_system(error: LoaderError, machine: Snapshot) -> bool:
    """glibc's own libraries, or the system's libstdc++ where it is known to be too old (or nothing else is known)."""
    if error.kind != "version":
        return False
    if error.wanted.startswith("GLIBC_"):
        return True
    if not error.wanted.startswith(("GLIBCXX_", "CXXABI_")):
        return False
    # Another libstdc++ in front of the system's is a conflict of paths.
    if not re.match(r"(?:/usr)?/lib(?:64)?/", error.library):
        return False
    have = machine.host.libstdcxx if machine.host else None
    wanted = error.wanted.partition("_")[2]
    return have is None or not error.wanted.startswith("GLIBCXX_") or _version(have) < _version(wanted)


def _tagged(machine: Snapshot) -> str | None:
    """'2.28' of the installed torch's wheel tag."""
    distribution = machine.interpreter.distribution("torch") if machine.interpreter else None
    tag = _TAG.search(distribution.tag or "") if distribution else None
    return f"{tag[1]}.{tag[2]}" if tag else None


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:
        return Version("0")


def _fixes(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    build = fitting_torch(machine, world) if machine.host and machine.host.glibc else None
    fixes = []
    if build is not None and build.torch != (machine.torch.release if machine.torch else None):
        fixes.append(install_torch(machine, world, build, why="the newest built for this system's C library"))
    return (
        *fixes,
        Fix(
            title="Run it in a container with a newer system",
            commands=(
                "docker run --rm -it --gpus all -v $PWD:/src -w /src IMAGE   # or: apptainer exec --nv IMAGE.sif ...",
            ),
            note="`envdoctor recipe docker` writes one for this machine.",
        ),
        Fix(
            title="Upgrade the operating system to a release with a newer glibc",
            note="Never replace libc.so.6 by hand: every program depends on it.",
            needs_root=True,
            needs_reboot=True,
            verify="ldd --version | head -1",
        ),
    )
