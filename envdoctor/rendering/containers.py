"""What container recipes share: base images and the Python in them, names, the driver's guard, values of a Dockerfile."""

from __future__ import annotations

import re

import msgspec

from envdoctor.errors import InputError
from envdoctor.knowledge import load
from envdoctor.knowledge.errors import KnowledgeError
from envdoctor.planning.model import Stack
from envdoctor.rendering.drivers import on_jetson
from envdoctor.rendering.header import gpus_in_words
from envdoctor.rendering.model import Options
from envdoctor.rendering.pip import building_environment, pip_arguments
from envdoctor.rendering.requirements import version_of
from envdoctor.rendering.templates import environment

# astral-sh/uv on PyPI, 2026-11; its image has the same tags. For a Python that neither the base image nor its system has.
UV_IMAGE = "ghcr.io/astral-sh/uv:0.13.9"
# Of compilers and the toolkit: set in the stage that builds.
_BUILD_ONLY = (
    "CUDA_HOME",
    "TORCH_CUDA_ARCH_LIST",
    "CC",
    "CXX",
    "CUDAHOSTCXX",
    "NVCC_PREPEND_FLAGS",
    "MAX_JOBS",
    "PATH",
)
SHARED_MEMORY = "8gb"
"""Of DataLoader workers and NCCL's ranks; Docker's own 64 MB end in a bus error. A limit, not a reservation."""
STACK_LIMIT = 64 << 20
"""Bytes of stack, as NVIDIA's own images are started with."""


class ImageRecipe(msgspec.Struct, frozen=True, kw_only=True):
    """What a Dockerfile or an Apptainer definition is filled with besides the Stack.

    `packages`: of the distribution, for running; `build_packages`: for the stage with nvcc. `make_venv`: the command. `uv`: the
    image that uv comes from where Python does too. `verify`: Python that fails where something else was installed. `proof`: the
    command that an image runs if given none; `health`: the one that it is asked with, () where nothing could fail.
    `guard`: the lines of the script that refuses an older driver. `variables` and `labels` are quoted for a Dockerfile.
    """

    base: str
    packages: tuple[str, ...]
    build_packages: tuple[str, ...]
    make_venv: str
    uv: str | None
    umask: str | None
    pip_arguments: tuple[str, ...]
    build_requirements: tuple[str, ...]
    verify: str
    unisolated: bool
    unpinned: bool
    default_user: str | None
    guard: tuple[str, ...]
    health: tuple[str, ...]
    proof: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    build_variables: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]


def image(
    stack: Stack, options: Options, recipe: str, *, tools: tuple[str, ...] = (), umask: str | None = None
) -> ImageRecipe:
    """The image for that plan. `tools`: more packages of the distribution; `umask`: of the environment's files.

    Raises InputError for a plan that no Linux container can carry out.
    """
    require_linux(stack, recipe)
    base = stack.base_image or f"python:{stack.python}-slim-bookworm"
    python, runs, makes_venv, headers, from_uv = _interpreter(base, stack)
    # triton compiles a launcher for each kernel, against Python's headers.
    compiler = ("gcc", "libc6-dev", *headers) if stack.cuda else ()
    building = building_environment(stack) if stack.purpose == "build-extensions" else ()
    return ImageRecipe(
        base=base,
        packages=_sorted(*compiler, *runs, *(() if stack.build_image else makes_venv), *tools),
        build_packages=_sorted(
            "build-essential", "ca-certificates", "git", "ninja-build", *runs, *makes_venv, *headers
        ),
        make_venv=(
            f"UV_PYTHON_INSTALL_DIR=/opt/python uv venv --no-cache --managed-python --seed --python {stack.python} /opt/venv"
            if from_uv
            else f"{python} -m venv /opt/venv"
        ),
        uv=UV_IMAGE if from_uv else None,
        umask=umask,
        pip_arguments=pip_arguments(stack),
        build_requirements=("ninja", "packaging", "setuptools", "wheel"),
        verify=_verification(stack),
        unisolated=stack.purpose == "build-extensions",
        unpinned=stack.purpose == "build-extensions" or any(version_of(package) is None for package in stack.packages),
        default_user=_default_user(base),
        guard=guard(stack),
        health=health(stack),
        proof=proof(stack),
        variables=tuple((name, quoted(value)) for name, value in running_environment(stack)),
        build_variables=tuple((name, quoted(value)) for name, value in building),
        labels=tuple((name, quoted(value)) for name, value in labels(stack, options, base)),
    )


def require_linux(stack: Stack, recipe: str) -> None:
    """Raises InputError for a plan that no Linux container can carry out."""
    if not stack.platform.startswith("linux"):
        raise InputError(
            f"'{recipe}' makes a Linux container, and this plan is for {stack.platform}; "
            f"plan for the container: envdoctor recipe {recipe} --os ubuntu24.04"
        )


def running_environment(stack: Stack) -> tuple[tuple[str, str], ...]:
    """The variables that the image runs with: what the NVIDIA runtime reads, and the stack's own."""
    variables = {}
    if stack.on_gpu:
        # compute: libcuda; utility: NVML and nvidia-smi.
        variables = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
        if requirement := driver_requirement(stack):
            variables["NVIDIA_REQUIRE_CUDA"] = requirement
    own = {name: value for name, value in stack.environment.items() if name not in _BUILD_ONLY}
    return tuple({**variables, "PYTHONUNBUFFERED": "1", **own}.items())


def driver_requirement(stack: Stack) -> str | None:
    """'cuda>=13.0': by the CUDA of the minimum driver's branch, not the wheels' own, which newer minors of CUDA would outrun.

    libnvidia-container (src/cli/dsl.c): a space is "or", a comma is "and"; only a message about "cuda>=" tells to update the
    driver. NVIDIA Container Toolkit's csv mode (Jetson) knows no `driver`.
    """
    if stack.min_driver is None:
        return None
    branch = load().driver_branch(stack.min_driver)
    if branch is None or branch.max_cuda is None:
        return f"driver>={stack.min_driver}"
    return f"cuda>={branch.max_cuda}"


def guard(stack: Stack) -> tuple[str, ...]:
    """The script that refuses a driver older than the plan's and then runs its arguments; () where any driver does."""
    if stack.min_driver is None:
        return ()
    lines = tuple(environment().get_template("_shared/require_driver.sh.j2").render(stack=stack).splitlines())
    if any("'" in line for line in lines):
        raise ValueError("the Dockerfile writes these lines between single quotes")
    return lines


def image_name(stack: Stack, options: Options) -> str:
    """'torch-stack:2.15.0-cu132': what may be in a reference of the distribution specification, whatever the name was."""
    tag = re.sub(r"[^A-Za-z0-9_.-]", "-", f"{stack.torch}-{stack.channel}")
    return f"{service_name(options)}:{tag}"


def service_name(options: Options) -> str:
    """The name as a DNS label (RFC 1123), which every engine takes."""
    label = re.sub(r"[^a-z0-9]+", "-", options.name.lower()).strip("-")[:63].rstrip("-")
    return label or "torch-stack"


def docker_arguments(stack: Stack, options: Options) -> tuple[str, ...]:
    """What `docker run` is given so that training works."""
    return (*(("--gpus", options.gpus) if stack.on_gpu else ()), f"--shm-size={SHARED_MEMORY}")


def platform(stack: Stack) -> str:
    """'linux/amd64'."""
    return {"x86_64": "linux/amd64", "aarch64": "linux/arm64"}.get(stack.arch, f"linux/{stack.arch}")


def quoted(value: str) -> str:
    """A double-quoted word of a Dockerfile's ENV or LABEL."""
    escaped = re.sub(r'([\\"$])', r"\\\1", value)
    return f'"{escaped}"'


def labels(stack: Stack, options: Options, base: str) -> tuple[tuple[str, str], ...]:
    """What the image says of itself: names, and values in plain text."""
    what = f"torch {stack.torch} ({stack.channel}) with Python {stack.python}"
    said = {
        "org.opencontainers.image.title": service_name(options),
        "org.opencontainers.image.description": what,
        "org.opencontainers.image.base.name": base,
        "envdoctor.torch": f"{stack.torch}+{stack.channel}",
        "envdoctor.gpus": gpus_in_words(stack),
        "envdoctor.min-driver": stack.min_driver or "none",
        "envdoctor.requirements": " ".join(stack.requirements),
    }
    return tuple(said.items())


def proof(stack: Stack) -> tuple[str, ...]:
    """The command that an image runs if given none."""
    return ("python", "-c", "; ".join(proof_statements(stack)))


def proof_statements(stack: Stack) -> tuple[str, ...]:
    """Python that fails where a matrix product on the plan's device is not right, to what TF32 keeps of it. No single quotes:
    shells read it between them."""
    device, where = ("cuda", "torch.cuda.get_device_name()") if stack.on_gpu else ("cpu", '"the CPU"')
    return (
        "import torch",
        "a = torch.randn(256, 256)",
        f"b = a.{device}() @ a.{device}()",
        "torch.testing.assert_close(b.double().cpu(), a.double() @ a.double(), rtol=0, atol=0.1)",
        f'print(torch.__version__, "computes correctly on", {where})',
    )


def health(stack: Stack) -> tuple[str, ...]:
    """The command that fails where a container has lost its GPUs; () where it has none, and on a Jetson, whose JetPack need
    not have nvidia-smi."""
    return ("nvidia-smi",) if stack.on_gpu and not on_jetson(stack) else ()


def _verification(stack: Stack) -> str:
    modules = ["torch", *(name for name in ("torchvision", "torchaudio") if getattr(stack, name))]
    release, cuda = stack.torch.partition("+")[0], stack.cuda
    return (
        f"import {', '.join(modules)}; have = torch.__version__.split('+')[0], torch.version.cuda; "
        f"assert have == ({release!r}, {cuda!r}), have"
    ).replace("'", '"')


def _interpreter(base: str, stack: Stack) -> tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...], bool]:
    """The command, the distribution's packages that run it, make environments and hold its headers; whether uv brings it."""
    if base.startswith("python:"):
        return "python", (), (), (), False
    system = _system(base)
    try:
        own = load().system(system).python if system else None
    except KnowledgeError:
        own = None
    if own != stack.python:
        return "python", (), (), (), True
    return f"python{own}", (f"python{own}",), (f"python{own}-venv",), (f"python{own}-dev",), False


_SUITES = {"bullseye": "debian11", "bookworm": "debian12", "trixie": "debian13"}


def _system(base: str) -> str | None:
    """ "ubuntu24.04" of "nvidia/cuda:13.2.1-devel-ubuntu24.04"; None where the name does not say."""
    if found := re.search(r"(ubuntu|debian):?(\d+(?:\.\d+)?)", base):
        return found[1] + found[2]
    return next((system for suite, system in _SUITES.items() if suite in base), None)


def _default_user(base: str) -> str | None:
    """Ubuntu's images have had a user 'ubuntu' of UID 1000 since 23.04."""
    system = _system(base) or ""
    return "ubuntu" if system.startswith("ubuntu") and _pair(system.removeprefix("ubuntu")) >= (23, 4) else None


def _sorted(*packages: str) -> tuple[str, ...]:
    return tuple(sorted(set(packages)))


def _pair(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".")[:2])
