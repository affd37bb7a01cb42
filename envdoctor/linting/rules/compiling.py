"""What compiles CUDA code: whether nvcc is there, and whether it compiles for this machine's GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import DescribedEnvironment, PlacedValue
from envdoctor.linting.systems import cuda_tag, is_plain, parse

_TOOLKIT = re.compile(
    r"cuda(-toolkit|-compiler|-nvcc|-minimal-build)?(-\d+-\d+)?|nvidia-cuda-toolkit|cuda-toolkit-\d+|nvidia-cuda-dev"
)
_CONDA_TOOLKIT = ("cuda-nvcc", "cuda-toolkit", "cudatoolkit-dev", "cuda", "cuda-compiler")


def judge(environment: DescribedEnvironment, machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    """nvcc that is needed and not there; a list of architectures that leaves the GPU out."""
    if environment.compiled and _lacks_nvcc(environment):
        needs, image = environment.compiled[0], environment.base
        yield Finding(
            code="toolkit-missing",
            severity=Severity.ERROR,
            title="nvcc is needed and not in the image",
            summary=f"`{needs.value}` compiles CUDA code when it is installed, and {image} has no nvcc: the build fails with "
            "'CUDA_HOME environment variable is not set'.",
            evidence=(fact("compiles", needs.value), fact("image", image)),
            fixes=(_devel(image), Fix(title="Install a ready-made wheel of it by its address, where there is one")),
            rule="nvcc-missing",
            file=needs.place.file,
            line=needs.place.line,
        )
    said = environment.variables.get("TORCH_CUDA_ARCH_LIST")
    if said is not None:
        yield from _arch_list(said, environment, machine, world)


def _lacks_nvcc(environment: DescribedEnvironment) -> bool:
    image = environment.base
    if image is None or not environment.in_image:
        return False
    if any(_TOOLKIT.fullmatch(package.value) for package in environment.system_packages):
        return False
    conda = (i for i in environment.installs if i.tool == "conda")
    if any(install.find(name) for install in conda for name in _CONDA_TOOLKIT):
        return False
    reference = parse(image)
    tag = cuda_tag(reference)
    if tag is not None:
        return tag.flavour in ("base", "runtime")
    if reference.repository == "pytorch/pytorch":
        return reference.tag.endswith("-runtime") or reference.tag in ("", "latest")
    return is_plain(image) and not reference.repository.startswith("continuumio")


def _devel(image: str | None) -> Fix:
    reference = parse(image or "")
    devel = re.sub(r"-(base|runtime)\b", "-devel", reference.tag)
    if devel != reference.tag:
        return Fix(title=f"Start the stage that compiles from {reference.repository}:{devel}")
    return Fix(title="Compile in a stage that starts from a devel image of torch's CUDA, and copy the result")


def _arch_list(
    said: PlacedValue, environment: DescribedEnvironment, machine: TargetMachine, world: Knowledge
) -> Iterator[Finding]:
    flags = _flags(said.value, world)
    if flags is None:
        return
    for gpu in machine.gpus:
        if gpu.capability is None or world.flags_serve(flags, gpu.capability):
            continue
        own = gpu.capability
        yield Finding(
            code="extension-arch-missing",
            severity=Severity.ERROR if environment.compiled or environment.builds else Severity.WARNING,
            title="What is compiled there has no code for the GPU",
            summary=f"TORCH_CUDA_ARCH_LIST={said.value} compiles no code that {gpu} runs.",
            evidence=(fact("TORCH_CUDA_ARCH_LIST", said.value), fact("gpu", str(gpu))),
            fixes=(Fix(title=f"Add {own} to the list"),),
            rule="arch-list-without-gpu",
            file=said.place.file,
            line=said.place.line,
        )
        return


def _flags(text: str, world: Knowledge) -> tuple[str, ...] | None:
    """'8.0;8.6+PTX' and 'Ampere Ada' as flags; None where a word of it is neither."""
    found: list[str] = []
    for word in re.split(r"[\s;,]+", text.strip()):
        name, plus, _ = word.partition("+")
        if re.fullmatch(r"\d{1,2}\.\d[af]?", name):
            found.append(name + ("+PTX" if plus else ""))
            continue
        named = [row.capability for row in world.architectures() if row.name.lower() == name.lower()]
        if not named:
            return None
        found += [capability + ("+PTX" if plus else "") for capability in named]
    return tuple(found) or None
