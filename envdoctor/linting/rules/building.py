"""What a file compiles: a stage without nvcc, and a list of architectures that leaves this machine's GPU out."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import DescribedEnvironment
from envdoctor.linting.systems import cuda_tag, is_plain, parse

_TOOLKIT = re.compile(
    r"nvidia-cuda-toolkit|cuda-toolkit.*|cuda-nvcc.*|cuda-compiler.*|cuda-minimal-build.*|cuda(-\d+-\d+)?"
)
# Packages whose installation compiles CUDA code unless a wheel of exactly this torch is found.
_COMPILED = re.compile(r"flash[-_]attn|apex|mamba-ssm|causal-conv1d|--no-build-isolation|nvcc")
_NAMES = {
    "kepler": "3.5",
    "maxwell": "5.0",
    "pascal": "6.0",
    "volta": "7.0",
    "turing": "7.5",
    "ampere": "8.0",
    "ada": "8.9",
    "hopper": "9.0",
}
"""torch.utils.cpp_extension's names of architectures."""


def judge(environment: DescribedEnvironment, machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    """A warning for each: a wheel may be there after all, and an extension may not be used on this GPU."""
    yield from _without_nvcc(environment)
    yield from _list_without_gpu(environment, machine, world)


def _without_nvcc(environment: DescribedEnvironment) -> Iterator[Finding]:
    builds, image = environment.builds, environment.image
    if builds is None or image is None or not _COMPILED.search(builds.value):
        return
    reference = parse(image.value)
    tag = cuda_tag(reference)
    runtime = tag is not None and tag.flavour in ("base", "runtime")
    runtime = runtime or (reference.repository.endswith("pytorch/pytorch") and reference.tag.endswith("-runtime"))
    if not (runtime or (tag is None and is_plain(image.value) and not reference.repository.startswith("conda"))):
        return
    brought = any(_TOOLKIT.fullmatch(package.value) for package in environment.system_packages)
    by_conda = any(_TOOLKIT.fullmatch(w.name) for i in environment.installs if i.tool == "conda" for w in i.wanted)
    if brought or by_conda:
        return
    yield Finding(
        code="toolkit-missing",
        severity=Severity.WARNING,
        title="Nothing to compile CUDA code with",
        summary=f"`{builds.value}` compiles CUDA code where no wheel fits, and {reference} has no nvcc.",
        evidence=(fact("image", str(reference)), fact("builds", builds.value)),
        fixes=(
            Fix(title="Build in a stage of the image's devel flavour, and copy the result"),
            Fix(title="Ask for a release with a wheel for exactly this torch, CUDA, Python and C++ ABI"),
        ),
        file=builds.place.file,
        line=builds.place.line,
    )


def _list_without_gpu(environment: DescribedEnvironment, machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    said = environment.variables.get("TORCH_CUDA_ARCH_LIST")
    if said is None or "$" in said.value:
        return
    flags = [flag for word in re.split(r"[;\s,]+", said.value.strip()) if word for flag in _flags(word)]
    if not flags:
        return
    for gpu in machine.gpus:
        if gpu.capability is None or world.runs_on(flags, gpu.capability):
            continue
        yield Finding(
            code="extension-arch-missing",
            severity=Severity.WARNING,
            title="Extensions are compiled for other GPUs",
            summary=f"TORCH_CUDA_ARCH_LIST={said.value!r} makes no code for {gpu}: what is compiled here will not run on it.",
            evidence=(fact("TORCH_CUDA_ARCH_LIST", said.value), fact("gpu", str(gpu))),
            fixes=(Fix(title=f"Add {gpu.capability} to the list, or +PTX to its highest entry"),),
            file=said.place.file,
            line=said.place.line,
        )
        return


def _flags(word: str) -> tuple[str, ...]:
    """('sm_86', 'compute_86') of '8.6+PTX'; () of a word that is no architecture."""
    name, plus, _ = word.partition("+")
    number = _NAMES.get(name.lower(), name)
    if not re.fullmatch(r"\d{1,2}\.\d[af]?", number):
        return ()
    digits = number.replace(".", "")
    return (f"sm_{digits}", f"compute_{digits}") if plus else (f"sm_{digits}",)
