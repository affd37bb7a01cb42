"""Repairs of the Python environment: literal commands for the package manager at hand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from packaging.requirements import Requirement

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.installation import Manager, installation, manager_of
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Interpreter
from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.planning.gpu_list import gpu_of_capability
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build
from envdoctor.planning.target import from_snapshot, wheel_platform

# Nothing here means anything to a shell between double quotes.
_PLAIN = re.compile(r"[\w@+=:,./<>~*\[\]() -]+")


def quoted(arguments: Iterable[str]) -> str:
    """A command line from its arguments, for POSIX shells; where double quotes do, cmd and PowerShell take it as well."""
    return " ".join(
        f'"{argument}"' if _PLAIN.fullmatch(argument) and shlex.quote(argument) != argument else shlex.quote(argument)
        for argument in arguments
    )


def python(interpreter: Interpreter | None) -> str:
    """The command that starts the target interpreter."""
    return (interpreter.executable if interpreter else None) or "python"


def installer(snapshot: Snapshot) -> list[str]:
    """The arguments that install into the target environment."""
    name = python(snapshot.interpreter)
    by_uv = manager_of(snapshot) is Manager.UV
    return ["uv", "pip", "install", *of_uv(snapshot)] if by_uv else [name, "-m", "pip", "install"]


def uninstall_from(snapshot: Snapshot, names: Sequence[str]) -> str:
    """The command that removes distributions from the target environment."""
    name = python(snapshot.interpreter)
    if manager_of(snapshot) is Manager.UV:
        return quoted(["uv", "pip", "uninstall", *of_uv(snapshot), *names])
    return quoted([name, "-m", "pip", "uninstall", "-y", *names])


def of_uv(snapshot: Snapshot) -> list[str]:
    """Which environment uv installs into; by itself it takes the active one, or .venv."""
    name = python(snapshot.interpreter)
    return [] if name == "python" else ["--python", name]


def verify_torch(snapshot: Snapshot) -> str:
    """A command that proves that torch computes on the GPU."""
    code = "import torch; print(torch.__version__, torch.ones(2, device='cuda').sum().item())"
    return f'{quoted([python(snapshot.interpreter)])} -c "{code}"'


def channel_words(build: TorchBuild) -> str:
    """'cu126 channel', or PyPI's own build by its variant."""
    return f"the {build.variant} channel" if build.index_url else f"PyPI's {build.variant} build"


def fitting_torch(
    snapshot: Snapshot,
    world: Knowledge,
    *,
    torch: str | None = None,
    python: str | None = None,
    driver: bool = True,
    device: Literal["any", "cuda", "cpu"] = "any",
    otherwise: tuple[str, ...] = (),
) -> TorchBuild | None:
    """The build that `planning` chooses for this machine's GPUs, driver, Python and C library: for CPUs where it has no GPU.

    `torch` narrows the release; `python` is another than the one that is there; `driver=False` asks what there is regardless of
    the driver. `device`: "cuda" for an error that comes from CUDA, which a machine that shows no GPU cannot have had; "cpu"
    where no GPU is to be used. `otherwise`: the compute capabilities to run on where the GPUs are not known.
    """
    target, wishes = machine_and_wishes(snapshot, world)
    if wheel_platform(snapshot) is None or not (device == "cpu" or target.platform.startswith(("linux", "windows"))):
        return None
    if device == "cpu":
        target = msgspec.structs.replace(target, gpus=(), driver=None)
    elif not target.gpus and (otherwise or device == "cuda"):
        capabilities = tuple(gpu_of_capability(capability, world) for capability in otherwise)
        target = msgspec.structs.replace(target, gpus=capabilities or None)
    if not driver:
        target = msgspec.structs.replace(target, driver=None)
    return best_build(target, msgspec.structs.replace(wishes, torch=torch, python=python or wishes.python), world)


def machine_and_wishes(snapshot: Snapshot, world: Knowledge) -> tuple[Target, Wishes]:
    """What a repair plans for: this machine, and the Python that torch goes into, which stays as it is."""
    target = from_snapshot(snapshot, world)
    return target, Wishes(python=target.python)


def reinstall(snapshot: Snapshot, requirements: Sequence[str], index_url: str | None, *, title: str) -> Fix:
    """Installs exact versions over what is there and leaves everything else alone."""
    install = installer(snapshot)
    index = ["--index-url", index_url] if index_url else []
    return Fix(
        title=title,
        commands=(quoted([*install, "--force-reinstall", "--no-deps", *requirements, *index]),),
    )


def conda_install(snapshot: Snapshot, specifications: Sequence[str], *, title: str, note: str | None = None) -> Fix:
    """Installs into the target's conda environment."""
    prefix = snapshot.interpreter.prefix if snapshot.interpreter else None
    where = ["-p", prefix] if prefix else []
    return Fix(title=title, commands=(quoted(["conda", "install", *where, *specifications]),), note=note)


def install_into(
    snapshot: Snapshot, requirements: Sequence[str], *, title: str, note: str | None = None, verify: str | None = None
) -> Fix:
    """Installs requirements into the target environment, with what they need."""
    install = installer(snapshot)
    return Fix(title=title, commands=(quoted([*install, *requirements]),), note=note, verify=verify)


def run_python(snapshot: Snapshot, code: str) -> str:
    """A command that runs one line of Python in the target environment."""
    # In double quotes, which cmd.exe takes too; what a shell would read in them is in single ones.
    argument = shlex.quote(code) if re.search(r'["$`\\!%\n]', code) else f'"{code}"'
    return f"{quoted([python(snapshot.interpreter)])} -c {argument}"


def pinned(snapshot: Snapshot, world: Knowledge, names: Iterable[str]) -> tuple[str, ...]:
    """The requirements of the installed torch on these distributions, as pip takes them: 'nvidia-cudnn-cu13==9.26.0.51'. By its
    own metadata, else by those of the published build that it is; () where neither is known."""
    torch = snapshot.interpreter.distribution("torch") if snapshot.interpreter else None
    wanted = set(names)
    lines = torch.requires if torch else ()
    if not lines:
        build = installation(snapshot, world).build
        lines = build_requirements(build) if build is not None else ()
    found = [Requirement(line) for line in lines]
    return tuple(f"{r.name}{r.specifier}" for r in found if r.name.lower().replace("_", "-") in wanted)


def build_requirements(build: TorchBuild) -> tuple[str, ...]:
    """What a published build requires; of a channel's wheels, which were not read as a whole, its cuDNN and NCCL."""
    if build.requires or build.cuda is None:
        return build.requires
    major = build.cuda.partition(".")[0]
    known = ((f"nvidia-cudnn-cu{major}", build.cudnn), (f"nvidia-nccl-cu{major}", build.nccl))
    return tuple(f"{name}=={value}" for name, value in known if value and value[0].isdigit())
