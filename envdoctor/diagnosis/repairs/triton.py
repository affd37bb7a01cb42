"""Repairs of triton: the release that this torch was made for, and what triton compiles with."""

from __future__ import annotations

import re

from packaging.requirements import Requirement

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.device_code import arch_fixes
from envdoctor.diagnosis.repairs.installation import Accelerator, installation
from envdoctor.diagnosis.repairs.python_environment import reinstall, run_python
from envdoctor.diagnosis.repairs.torch_install import restore_torch
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.distributions import family

WINDOWS = "https://github.com/triton-lang/triton-windows"
FIRST_WINDOWS = (3, 2)
"""The first minor of triton-windows on PyPI."""
_TRITONS = ("triton", "pytorch-triton", "pytorch-triton-rocm", "pytorch-triton-xpu", "triton-rocm", "triton-xpu")
_GPU_NAME = re.compile(r"sm_(\d{1,2})(\d)[af]?\b")


def install_triton(snapshot: Snapshot, world: Knowledge) -> Fix:
    """The triton that this torch pins; on Windows the port of the same minor. Each torch is made for one."""
    verify = run_python(snapshot, "import triton; print(triton.__version__)")
    here = installation(snapshot, world)
    pin = _pin(snapshot, here.release, world)
    if here.windows:
        minor = re.search(r"(\d+)\.(\d+)", pin.partition("triton")[2]) if pin else None
        if minor is None:
            return _ask(snapshot, "triton-windows", f"Which minor goes with which torch: {WINDOWS}")
        wanted = f"{minor[1]}.{minor[2]}"
        if (int(minor[1]), int(minor[2])) < FIRST_WINDOWS:
            return Fix(
                title=f"Run this without torch.compile, or with a newer torch: there is no triton-windows {wanted} on PyPI",
                commands=("set TORCHDYNAMO_DISABLE=1",),
                note=f"Its page has older builds: {WINDOWS}",
            )
        title = f"Install triton-windows {wanted}, for torch {here.release}: triton itself has no wheels for Windows"
        fix = reinstall(snapshot, [f"triton-windows=={wanted}.*"], None, title=title)
    elif here.accelerator is Accelerator.AMD or here.variant in ("cpu", "xpu"):
        return restore_torch(snapshot, world)
    elif pin is None or here.release is None:
        return _ask(snapshot, "triton", "Then install exactly that one.")
    else:
        fix = reinstall(snapshot, [pin], None, title=f"Install {pin}, which torch {here.release} pins")
    return Fix(title=fix.title, commands=fix.commands, verify=verify)


def _pin(snapshot: Snapshot, release: str | None, world: Knowledge) -> str | None:
    """By torch's own metadata, else by that of the release's wheel on PyPI: its other builds pin the same."""
    own = snapshot.interpreter.distribution("torch") if snapshot.interpreter else None
    for line in own.requires if own is not None else ():
        requirement = Requirement(line)
        if requirement.name in _TRITONS:
            return f"{requirement.name}{requirement.specifier}"
    if release is None or not release[:1].isdigit():
        return None
    found = next((b.triton for b in world.torch_builds(release) if b.torch == release and b.triton), None)
    if found is None:
        return None
    return f"triton{found}" if not found[0].isdigit() else f"triton=={found}"


def _ask(snapshot: Snapshot, name: str, note: str) -> Fix:
    code = "from importlib.metadata import requires; print([r for r in requires('torch') if 'triton' in r])"
    return Fix(title=f"See which {name} this torch is made for", commands=(run_python(snapshot, code),), note=note)


def newer_ptxas(snapshot: Snapshot, world: Knowledge, said: str) -> tuple[Fix, ...]:
    """The ptxas in triton's wheel does not know the GPU: another one is named to it, or a torch with a newer triton installed."""
    gpu = _GPU_NAME.search(said)
    record = world.architecture(f"{gpu[1]}.{gpu[2]}") if gpu else None
    first = record.first_cuda if record is not None else None
    of = f"of CUDA {first} or newer" if first else "of a CUDA toolkit that knows it"
    # Triton keeps a second one for Blackwell, with a variable of its own.
    variable = "TRITON_PTXAS_BLACKWELL_PATH" if "ptxas-blackwell" in said else "TRITON_PTXAS_PATH"
    named = Fix(
        title=f"Let triton use a ptxas that knows {gpu[0] if gpu else 'this GPU'}: {of}",
        commands=(
            f"/usr/local/cuda/bin/ptxas --version   # it must be {of}",
            f"export {variable}=/usr/local/cuda/bin/ptxas",
        ),
        note="Without a toolkit at that place: install the CUDA toolkit (the driver stays as it is), or take a newer torch, "
        "whose triton brings a newer ptxas.",
    )
    return (named, *(fix for fix in arch_fixes(snapshot, world)[:1] if fix.commands and gpu))


def install_compiler(machine: Snapshot) -> Fix:
    """The C compiler that triton builds its launcher with, from the distribution."""
    commands = {
        "ubuntu": ("sudo apt-get update", "sudo apt-get install -y build-essential"),
        "debian": ("sudo apt-get update", "sudo apt-get install -y build-essential"),
        "rhel": ("sudo dnf install -y gcc",),
        "fedora": ("sudo dnf install -y gcc",),
        "suse": ("sudo zypper install -y gcc",),
        "arch": ("sudo pacman -S --needed base-devel",),
    }.get(family(machine) or "", ("conda install -c conda-forge gcc_linux-64   # or gcc from your distribution",))
    return Fix(
        title="Install a C compiler", commands=commands, needs_root="conda" not in commands[0], verify="gcc --version"
    )


def install_headers(machine: Snapshot) -> Fix:
    """Python's headers, which that launcher includes."""
    interpreter = machine.interpreter
    python = ".".join((interpreter.version or "3").split(".")[:2]) if interpreter else "3"
    commands = {
        "ubuntu": ("sudo apt-get update", f"sudo apt-get install -y python{python}-dev"),
        "debian": ("sudo apt-get update", f"sudo apt-get install -y python{python}-dev"),
        "rhel": (f"sudo dnf install -y python{python}-devel",),
        "fedora": ("sudo dnf install -y python3-devel",),
        "suse": (f"sudo zypper install -y python{python.replace('.', '')}-devel",),
    }.get(family(machine) or "", ("# install the development package of this Python (python3-dev, python3-devel)",))
    return Fix(
        title="Install Python's headers",
        commands=commands,
        needs_root=True,
        note="Pythons of uv, conda and python.org bring theirs along.",
        verify=run_python(machine, "import sysconfig, os; print(os.listdir(sysconfig.get_paths()['include'])[:1])"),
    )
