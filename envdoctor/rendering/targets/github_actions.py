"""A workflow for GitHub Actions: one job on GitHub's CPUs, one on a GPU runner of one's own.

Actions are pinned to commits, which a tag's owner cannot move: read from the actions' repositories on 2026-11-23.
"""

from __future__ import annotations

import msgspec

from envdoctor.errors import InputError
from envdoctor.knowledge import load
from envdoctor.planning.model import Stack, Target, Wishes
from envdoctor.planning.question import best_build
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.requirements import name_of
from envdoctor.rendering.targets import requirements
from envdoctor.rendering.templates import fill

ACTIONS = {
    "checkout": "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1  # v7.0.1",
    "setup-python": "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97  # v7.0.0",
}
_GPU, _CPU = ".github/torch", ".github/torch-cpu"


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """The workflow, and for each job its requirements and the program that proves them. Raises InputError outside Linux."""
    if not stack.platform.startswith("linux"):
        raise InputError("'github-actions' is for Linux runners; name a Linux: --os ubuntu24.04")
    cpu, words = _on_cpu(stack)
    files = _job(_CPU, cpu, options) + (_job(_GPU, stack, options) if stack.gpus else [])
    arm = stack.arch == "aarch64"
    workflow = fill(
        "github-actions/torch.yml.j2",
        stack,
        options,
        what=f"Builds the environment with torch {stack.torch} and proves it, for each push and pull request.",
        run=(
            "commit it with .github/torch*; the GPU job waits for a runner",
            "labelled self-hosted and gpu, and the variable GPU_RUNNER=true",
        )
        if stack.gpus
        else ("commit it with .github/torch-cpu",),
        actions=ACTIONS,
        cpu_words=words,
        cpu_folder=_CPU,
        cpu_files=_installed(files, _CPU),
        gpu_folder=_GPU,
        gpu_files=_installed(files, _GPU),
        cpu_runner="ubuntu-24.04-arm" if arm else "ubuntu-24.04",
        runner_arch="ARM64" if arm else "X64",
        building=stack.purpose == "build-extensions",
    )
    return (RenderedFile(".github/workflows/torch.yml", workflow), *files)


def _on_cpu(stack: Stack) -> tuple[Stack, str]:
    """The same torch for CPUs where it is published so, else the same wheels, which run there too."""
    plain = msgspec.structs.replace(stack, gpus=(), min_driver=None)
    if stack.cuda is None:
        return plain, "What does not need a GPU is found here."
    build = best_build(Target(gpus=(), platform=stack.platform), Wishes(torch=f"=={stack.torch}", cuda="cpu"), load())
    if build is None:
        return (
            plain,
            f"The same wheels as on the GPU: no CPU build of torch {stack.torch} is known for {stack.platform}.",
        )
    known = {"torch", "torchvision", "torchaudio"}
    names = [name_of(requirement) for requirement in stack.requirements]
    others = tuple(r for r, name in zip(stack.requirements, names, strict=True) if name not in known)
    cpu = msgspec.structs.replace(
        plain,
        requirements=(*build.requirements(*(name for name in names if name in known)), *others),
        index_url=build.index_url,
        channel=build.variant,
        cuda=None,
        cudnn=None,
        nccl=None,
        triton=None,
    )
    return cpu, "The same torch, built for CPUs: what does not need a GPU is found here."


def _job(folder: str, stack: Stack, options: Options) -> list[RenderedFile]:
    verify = fill(
        "github-actions/verify.py.j2",
        stack,
        options,
        what="Proves that the installed torch is the planned one and computes correctly.",
        run=(f"python {folder}/verify.py",),
    )
    made = [*requirements.render(stack, options), RenderedFile("verify.py", verify)]
    return [RenderedFile(f"{folder}/{file.path}", file.text) for file in made]


def _installed(files: list[RenderedFile], folder: str) -> list[str]:
    return [file.path for file in files if file.path.startswith(f"{folder}/") and file.path.endswith(".txt")]
