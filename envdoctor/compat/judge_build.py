"""Judges one torch build at a time: against a GPU, a driver, a Python, a C library."""

from __future__ import annotations

from envdoctor.compat import judge
from envdoctor.compat.answer import JudgedReason
from envdoctor.compat.case import CompatCase
from envdoctor.compat.subject import GpuSubject
from envdoctor.compat.subject_build import SubjectBuild
from envdoctor.knowledge.builds import TorchBuild
from envdoctor.knowledge.versions import at_least, cuda_key, python_tag
from envdoctor.knowledge.world import Knowledge
from envdoctor.planning.driver_limits import needed_by


def published(judged: SubjectBuild) -> JudgedReason:
    """Where the build is to be had; only builds with evidence of publication are ever judged."""
    build = judged.build
    where = f"at {build.index_url}" if build.index_url else "on PyPI"
    text = f"{judged.name} is published for {build.platform} {where}."
    confidence = "measured" if build.index_url is None else "documented"
    return JudgedReason(about="torch", verdict="yes", text=text, confidence=confidence, sources=build.evidence)


def build_and_gpu(world: Knowledge, judged: SubjectBuild, gpu: GpuSubject) -> JudgedReason:
    """Device code, then cuDNN's kernels."""
    build, name, has = judged.build, judged.name, judged.has
    sources = tuple(dict.fromkeys((*build.source, *world.device_code_source())))
    if build.cuda is None:
        text = f"{name} {has} no CUDA code at all: it runs on the CPU."
        return JudgedReason(about="device code", verdict="no", text=text, sources=build.source)
    served = world.serves(build, gpu.capability)
    if not build.arch_flags and served is None:
        text = f"The architectures inside {name} for {build.platform} were not read."
        return JudgedReason(
            about="device code",
            verdict="unknown",
            text=text,
            confidence="unknown",
            sources=build.source,
        )
    compiled = ", ".join(build.arch_flags)
    if not served:
        text = f"{name} {has} code for {compiled} only; {gpu.name} is {gpu.capability}{_why_no_code(build, gpu)}."
        if served is None:
            text = f"{name} seems to have no code for {gpu.name} ({gpu.capability}), but its list was not read out of the wheel."
            return JudgedReason(
                about="device code",
                verdict="unknown",
                text=text,
                confidence=build.confidence,
                sources=sources,
            )
        return JudgedReason(
            about="device code",
            verdict="no",
            text=text,
            confidence=build.confidence,
            sources=sources,
        )
    if not world.has_cudnn_kernels(build, gpu.capability):
        release = world.cudnn_release(build.cudnn or "0", build.cuda)
        lowest = f" (lowest {release.min_capability})" if release else ""
        text = (
            f"{name} {has} code for {gpu.name} ({gpu.capability}), but its cuDNN {build.cudnn} has no kernels for it"
            f"{lowest}: convolutions fail unless cuDNN is switched off."
        )
        cudnn = release.source if release else ()
        return JudgedReason(
            about="cuDNN",
            verdict="no",
            text=text,
            confidence="measured",
            sources=(*build.source, *cudnn),
        )
    flag = world.serving_flag(build.arch_flags, gpu.capability, build.cuda)
    if flag is None:
        own = world.toolkit_driver(build.cuda, build.platform)
        text = f"{name} serves {gpu.name} ({gpu.capability}) by PTX, which the driver compiles" + (
            f" if it is {own} or newer." if own else "."
        )
    else:
        text = f"{name} {has} code for {gpu.name}: {flag} runs on {gpu.capability}."
    return JudgedReason(about="device code", verdict="yes", text=text, confidence=build.confidence, sources=sources)


def build_and_driver(world: Knowledge, judged: SubjectBuild, driver: str, case: CompatCase) -> JudgedReason:
    """The CUDA inside against the driver; the toolkit's own driver where PTX has to serve."""
    build = judged.build
    if build.cuda is None:
        return JudgedReason(about="driver", verdict="yes", text=f"{judged.name} {judged.needs} no NVIDIA driver.")
    for gpu in case.gpus:
        needed = needed_by(build, gpu.capability, case.target, world)
        coded = build.arch_flags and world.has_code(build, gpu.capability)
        only_ptx = coded and not world.runs_natively(build.arch_flags, gpu.capability, build.cuda)
        if only_ptx and needed is not None and not at_least(driver, needed):
            text = (
                f"{judged.name} serves {gpu.name} by PTX only, which {judged.needs} driver {needed}; {driver} is older."
            )
            return JudgedReason(
                about="driver",
                verdict="no",
                text=text,
                confidence="documented",
                sources=judge.toolkit_sources(world, build.cuda),
            )
    return judge.cuda_and_driver(world, build.cuda, driver, case.driver_platform, judged)


def build_and_python(judged: SubjectBuild, python: str) -> JudgedReason:
    build = judged.build
    tag = python_tag(python)
    have = build.python_tags
    if tag in have:
        text = f"{judged.release} {judged.has} wheels for Python {tag}."
        return JudgedReason(
            about="Python",
            verdict="yes",
            text=text,
            confidence="measured",
            sources=("PyPI simple index: torch",),
        )
    text = f"{judged.release} {judged.has} wheels for Python {_span(have)} on {build.platform}, not for {tag}."
    return JudgedReason(
        about="Python",
        verdict="no",
        text=text,
        confidence="measured",
        sources=("PyPI simple index: torch",),
    )


def build_and_glibc(judged: SubjectBuild, glibc: str) -> JudgedReason | None:
    build = judged.build
    if build.glibc is None:
        if not build.platform.startswith("linux"):
            return None
        text = f"The glibc that {judged.name} {judged.needs} was not read."
        return JudgedReason(about="glibc", verdict="unknown", text=text, confidence="unknown")
    enough = at_least(glibc, build.glibc)
    text = f"{judged.name} {judged.needs} glibc {build.glibc} or newer; {glibc} is{'' if enough else ' older'}."
    return JudgedReason(
        about="glibc",
        verdict="yes" if enough else "no",
        text=text,
        confidence="documented",
        sources=build.source,
    )


def _why_no_code(build: TorchBuild, gpu: GpuSubject) -> str:
    architecture = gpu.architecture
    if architecture is None or build.cuda is None:
        return ""
    if architecture.last_cuda is not None and cuda_key(build.cuda) > cuda_key(architecture.last_cuda):
        return f" ({architecture.name}), which CUDA dropped after {architecture.last_cuda}"
    if architecture.first_cuda is not None and cuda_key(build.cuda) < cuda_key(architecture.first_cuda):
        return f" ({architecture.name}), which CUDA knows from {architecture.first_cuda} on"
    if architecture.jetson:
        return f" ({architecture.name}, a Jetson), which server code does not run on before CUDA 13.2"
    return f" ({architecture.name})"


def _span(tags: tuple[str, ...]) -> str:
    """ "3.10 to 3.14" of the ordinary tags."""
    plain = [tag for tag in tags if not tag.endswith("t")]
    return f"{plain[0]} to {plain[-1]}" if len(plain) > 1 else "".join(plain) or "no version"
