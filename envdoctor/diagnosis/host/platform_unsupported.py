"""No build of torch exists for this operating system, processor or accelerator.

What it is
    torch is published for Linux on x86-64 and 64-bit Arm with glibc, for Windows on x86-64, and for macOS on Apple
    silicon. Elsewhere (musl as in Alpine, 32-bit systems and Pythons, Intel Macs since torch 2.3) pip finds 'no
    matching distribution'. On a Mac the GPU works through MPS, which each release of torch allows from a certain macOS
    on.

Told apart by
    There is no torch here, and the table has no build for the platform; the C library is musl; or Python is a 32-bit
    one. On macOS: torch works, its MPS backend is not available, and macOS is older than that torch asks for. A Python
    version without wheels is `python-unsupported`. A torch that runs here, whoever built it, is proof of the contrary.

Repair
    A container or machine of a supported kind; a 64-bit Python; a newer macOS.

Sources
    the wheels published on PyPI and download.pytorch.org; pytorch/pytorch, aten/src/ATen/mps/MPSDevice.mm and issue
    159275
"""

from __future__ import annotations

import re

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.refused_install import Why, on_a_mac, why_refused
from envdoctor.diagnosis.repairs.python_environment import install_into
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.message_files import beside

# The first macOS for the MPS backend, by the first torch that asks for it (pytorch PRs 133141 and 163515).
MACOS = (((2, 9), (14, 0)), ((2, 5), (13, 0)), ((1, 12), (12, 3)))


OTHER_MACHINE = Fix(
    title="Use a machine, a system or a Python of another kind: Linux on x86-64 or Arm64, Windows on x86-64, macOS on Arm64",
    commands=("python -m pip debug --verbose | grep -A5 'Compatible tags'   # what this Python accepts",),
    note="Windows on Arm runs x86-64 Pythons by emulation, without a GPU. Alpine has no wheels: take Debian or Ubuntu.",
)


MESSAGES = beside(__file__)


@diagnosis(
    "platform-unsupported",
    layer=Layer.HOST,
    severity=Severity.ERROR,
    follows_from=("wheel-index-missing",),
    messages=MESSAGES,
    remedy=lambda machine, world: (
        _without_the_tag(machine, world) or (*_last_for_intel_macs(machine, world), OTHER_MACHINE)
    ),
    fits=lambda machine, world: _fits(machine, world),  # noqa: PLW0108  it stands below
)
def platform_unsupported(machine: Snapshot, world: Knowledge) -> Finding | None:
    host, interpreter = machine.host, machine.interpreter
    if host is None:
        return None
    run = machine.torch.run if machine.torch else None
    if run is not None and run.outcome == "ok":
        return _metal(machine)
    if interpreter is None or interpreter.torch_installed is not False:
        return None
    python = interpreter.executable or "this Python"
    container = Fix(
        title="Use a container with a supported system",
        commands=("docker run --rm -it python:3.12-slim python -m pip install torch",),
        note="Images on Debian, Ubuntu or Red Hat have glibc; Alpine's have not.",
    )
    if interpreter.bits == 32:
        return Finding(
            summary=f"{python} is a 32-bit Python, and torch is published for 64-bit ones only.",
            evidence=(fact("interpreter.bits", 32),),
            fixes=(
                Fix(
                    title="Install a 64-bit Python",
                    commands=("uv python install 3.12", "uv venv --python 3.12"),
                    note="https://www.python.org/downloads: 'Windows installer (64-bit)'."
                    if host.system == "Windows"
                    else None,
                    verify="python -c \"import struct; print(struct.calcsize('P') * 8)\"   # 64",
                ),
            ),
        )
    if host.system == "Linux" and host.glibc == "":
        return Finding(
            summary="This system's C library is musl, and torch is published for glibc only.",
            evidence=(fact("host.glibc", "none (musl)"), fact("host.os", host.os_name)),
            fixes=(container,),
        )
    platform = host.platform
    if platform is None or any(build.platform == platform for build in world.torch_builds()):
        return None
    return Finding(
        summary=f"No build of torch is published for {platform}.",
        evidence=(fact("host.platform", platform),),
        fixes=(
            Fix(
                title="Use a machine or a Python of another kind: Linux on x86-64 or Arm64, Windows on x86-64, macOS on Arm64",
                note="Windows on Arm runs x86-64 Pythons by emulation, without a GPU."
                if platform == "windows_arm64"
                else "Building from source is possible: github.com/pytorch/pytorch#from-source.",
            ),
        ),
    )


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """What the installer's own list of releases says."""
    refused = why_refused(machine, world)
    return None if refused is None else refused.why is Why.PLATFORM


def _without_the_tag(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """On a Mac, for a build with the tag of a GPU that no Mac has."""
    refused = why_refused(machine, world)
    version = refused.refusal.version if refused is not None else None
    if refused is None or version is None or version.local is None or not on_a_mac(machine):
        return ()
    return (
        install_into(
            machine,
            [f"{refused.refusal.name}=={version.public}"],
            title="Ask for the release without its tag: builds with one are for NVIDIA's and AMD's GPUs, on Linux and Windows",
            note="In requirements files, the same; the Mac's GPU is used through MPS, torch.backends.mps.is_available().",
        ),
    )


def _last_for_intel_macs(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """The last release with wheels for Intel's Macs, where the text is from one."""
    platform = machine.host.platform if machine.host else None
    said = any(re.search(r"macosx_\d+_\d+_x86_64|\bIntel (?:i?Mac|Mac)", line) for line in machine.messages)
    if platform != "macos_x86_64" and not said:
        return ()
    last = next((release for release in world.torch_releases() if release.python.get("macos_x86_64")), None)
    if last is None:
        return ()
    python = [p for p in last.python["macos_x86_64"] if not p.endswith("t")][-1]
    return (
        Fix(
            title=f"Install torch {last.version}, the last with wheels for Intel's Macs (Python {python} or older)",
            commands=(
                f"uv venv --python {python} .venv",
                f'uv pip install --python .venv/bin/python torch=={last.version} "numpy<2"',
            ),
            note="It runs on the processor. Programs that need a newer torch need another machine.",
            verify='.venv/bin/python -c "import torch; print(torch.__version__)"',
        ),
    )


def _metal(machine: Snapshot) -> Finding | None:
    """A Mac whose macOS is too old for the MPS backend of its torch."""
    host, torch = machine.host, machine.torch
    run = torch.run if torch else None
    if host is None or torch is None or run is None or run.mps_available is not False or host.platform != "macos_arm64":
        return None
    system = re.search(r"macOS (\d+)\.(\d+)", host.os_name or "")
    release = re.match(r"(\d+)\.(\d+)", torch.version or "")
    if system is None or release is None:
        return None
    have, version = (int(system[1]), int(system[2])), (int(release[1]), int(release[2]))
    needed = next((macos for first, macos in MACOS if version >= first), None)
    if needed is None or have >= needed:
        return None
    words = ".".join(map(str, needed))
    return Finding(
        summary=f"torch {torch.version} uses the Mac's GPU (MPS) from macOS {words} on; this is macOS {system[1]}.{system[2]}.",
        severity=Severity.WARNING,
        evidence=(fact("host.os_name", host.os_name), fact("torch.run.mps_available", False)),
        fixes=(
            Fix(
                title=f"Upgrade macOS to {words} or newer",
                commands=("softwareupdate --list",),
                needs_root=True,
                needs_reboot=True,
                verify='python -c "import torch; print(torch.backends.mps.is_available())"',
            ),
        ),
    )
