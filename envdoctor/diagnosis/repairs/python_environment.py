"""Repairs of the Python environment: literal commands for the package manager at hand."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from packaging.requirements import Requirement

from envdoctor.diagnosis.model import Fix
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Interpreter
from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.planning.gpu_list import gpu_of_capability
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build
from envdoctor.planning.target import from_snapshot, wheel_platform

FAMILY = ("torch", "torchvision", "torchaudio")


def quoted(arguments: Iterable[str]) -> str:
    """A shell command line from its arguments."""
    return " ".join(shlex.quote(argument) for argument in arguments)


def _python(interpreter: Interpreter | None) -> str:
    return (interpreter.executable if interpreter else None) or "python"


def _installer(snapshot: Snapshot) -> tuple[list[str], list[str], list[str]]:
    """The argument lists that install into, uninstall from, and run the target environment."""
    interpreter = snapshot.interpreter
    python = _python(interpreter)
    torch = interpreter.distribution("torch") if interpreter else None
    uses_uv = bool(torch and torch.installer == "uv")
    if interpreter is not None and (uses_uv or interpreter.pip is False):
        return (
            ["uv", "pip", "install", "--python", python],
            ["uv", "pip", "uninstall", "--python", python],
            [python],
        )
    return [python, "-m", "pip", "install"], [python, "-m", "pip", "uninstall", "-y"], [python]


def verify_torch(snapshot: Snapshot) -> str:
    """A command that proves that torch computes on the GPU."""
    code = "import torch; print(torch.__version__, torch.ones(2, device='cuda').sum().item())"
    return f'{quoted([_python(snapshot.interpreter)])} -c "{code}"'


def install_torch(snapshot: Snapshot, build: TorchBuild, *, why: str) -> Fix:
    """Replaces torch and what belongs to it by `build`, keeping the companions that are installed now."""
    install, uninstall, _ = _installer(snapshot)
    interpreter = snapshot.interpreter
    present = [name for name in FAMILY if interpreter and interpreter.distribution(name)]
    # The pins of torch decide; vision and audio come along when they were there, or when nothing was.
    wanted = present or ["torch", "torchvision"]
    if "torch" not in wanted:
        wanted.insert(0, "torch")
    commands = []
    if present:
        # pip takes 2.14.1+cpu for torch==2.14.1 and would leave it: the old build goes first.
        commands.append(quoted([*uninstall, *present]))
    commands.append(quoted([*install, *build.pip_arguments(*wanted)]))
    notes = []
    if "torchaudio" in wanted and build.torchaudio is None:
        notes.append(f"There is no torchaudio for torch {build.torch}.")
    if interpreter and interpreter.externally_managed and interpreter.environment == "system":
        venv = "~/.venvs/torch"
        commands = [
            f"{quoted([_python(interpreter), '-m', 'venv'])} {venv}",
            f"{venv}/bin/python -m pip install {quoted(build.pip_arguments(*wanted))}",
        ]
        notes.append(
            "This Python belongs to the operating system, so torch goes into a virtual environment of its own."
        )
    return Fix(
        title=f"Install torch {build.torch} ({channel_words(build)}): {why}",
        commands=tuple(commands),
        note=" ".join(notes) or None,
        verify=verify_torch(snapshot) if build.cuda else None,
    )


def channel_words(build: TorchBuild) -> str:
    """'cu126 channel', or PyPI's own build by its variant."""
    return f"the {build.variant} channel" if build.index_url else f"PyPI's {build.variant} build"


def fitting_torch(
    snapshot: Snapshot,
    world: Knowledge,
    *,
    torch: str | None = None,
    driver: bool = True,
    device: Literal["any", "cuda", "cpu"] = "any",
    otherwise: tuple[str, ...] = (),
) -> TorchBuild | None:
    """The build that `planning` chooses for this machine's GPUs, driver, Python and C library: for CPUs where it has no GPU.

    `torch` narrows the release; `driver=False` asks what there is regardless of the driver. `device`: "cuda" for an error that
    comes from CUDA, which a machine that shows no GPU cannot have had; "cpu" where no GPU is to be used. `otherwise`: the
    compute capabilities to run on where the GPUs are not known.
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
    return best_build(target, msgspec.structs.replace(wishes, torch=torch), world)


def machine_and_wishes(snapshot: Snapshot, world: Knowledge) -> tuple[Target, Wishes]:
    """What a repair plans for: this machine, and the Python that torch goes into, which stays as it is."""
    target = from_snapshot(snapshot, world)
    return target, Wishes(python=target.python)


def reinstall(snapshot: Snapshot, requirements: Sequence[str], index_url: str | None, *, title: str) -> Fix:
    """Installs exact versions over what is there and leaves everything else alone."""
    install, _, _ = _installer(snapshot)
    index = ["--index-url", index_url] if index_url else []
    return Fix(
        title=title,
        commands=(quoted([*install, "--force-reinstall", "--no-deps", *requirements, *index]),),
    )


def uses_conda(snapshot: Snapshot) -> bool:
    """Whether conda put this torch here: then pip would only lay a second one over it."""
    interpreter = snapshot.interpreter
    if interpreter is None:
        return False
    torch = interpreter.distribution("torch")
    if torch is not None and torch.installer not in (None, "conda"):
        return False
    return any(p.name == "pytorch" and p.channel != "pypi" for p in interpreter.conda_packages or ())


def conda_install(snapshot: Snapshot, specifications: Sequence[str], *, title: str, note: str | None = None) -> Fix:
    """Installs into the target's conda environment."""
    prefix = snapshot.interpreter.prefix if snapshot.interpreter else None
    where = ["-p", prefix] if prefix else []
    return Fix(title=title, commands=(quoted(["conda", "install", *where, *specifications]),), note=note)


def install_into(
    snapshot: Snapshot, requirements: Sequence[str], *, title: str, note: str | None = None, verify: str | None = None
) -> Fix:
    """Installs requirements into the target environment, with what they need."""
    install, _, _ = _installer(snapshot)
    return Fix(title=title, commands=(quoted([*install, *requirements]),), note=note, verify=verify)


def uninstall_from(snapshot: Snapshot, names: Sequence[str]) -> str:
    """The command that removes distributions from the target environment."""
    _, uninstall, _ = _installer(snapshot)
    return quoted([*uninstall, *names])


def run_python(snapshot: Snapshot, code: str) -> str:
    """A command that runs one line of Python in the target environment."""
    # In double quotes, which cmd.exe takes too; what a shell would read in them is in single ones.
    argument = shlex.quote(code) if re.search(r'["$`\\!%\n]', code) else f'"{code}"'
    return f"{quoted([_python(snapshot.interpreter)])} -c {argument}"


def index_of(snapshot: Snapshot, world: Knowledge) -> str | None:
    """The index that the installed torch is published on; None where that is PyPI or not known."""
    torch, platform = snapshot.torch, snapshot.host.platform if snapshot.host else None
    if torch is None or torch.release is None:
        return None
    local = (torch.version or "").partition("+")[2]
    for build in world.torch_builds(torch.release):
        if build.platform == platform and (build.variant == local if local else build.cuda == torch.cuda):
            return build.index_url
    return None


def restore_torch(snapshot: Snapshot, world: Knowledge) -> Fix:
    """Installs the torch that is there once more, with every library that it pins."""
    torch = snapshot.torch
    release = torch.release if torch else None
    if uses_conda(snapshot):
        return conda_install(
            snapshot,
            ["--force-reinstall", f"pytorch={release}" if release else "pytorch"],
            title=f"Install torch {release or ''} once more".replace("  ", " "),
        )
    index = index_of(snapshot, world)
    wanted = [f"torch=={release}" if release else "torch", *(["--index-url", index] if index else [])]
    install, uninstall, _ = _installer(snapshot)
    return Fix(
        title="Remove torch and install it once more, with the libraries that it pins",
        # Over what is there pip would keep a broken library whose version is the right one.
        commands=(quoted([*uninstall, "torch"]), quoted([*install, "--force-reinstall", *wanted])),
        verify=run_python(snapshot, "import torch; print(torch.__version__, torch.cuda.is_available())"),
    )


def pinned(snapshot: Snapshot, names: Iterable[str]) -> tuple[str, ...]:
    """The requirements of torch on these distributions, as pip takes them: 'nvidia-cudnn-cu13==9.26.0.51'."""
    torch = snapshot.interpreter.distribution("torch") if snapshot.interpreter else None
    wanted = set(names)
    found = [Requirement(line) for line in (torch.requires if torch else ())]
    return tuple(f"{r.name}{r.specifier}" for r in found if r.name.lower().replace("_", "-") in wanted)
