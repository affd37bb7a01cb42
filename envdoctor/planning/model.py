"""The types of a plan: what it is for (Target, Wishes) and what comes out (Plan, Stack). Types only.

Versions are plain strings, as in the knowledge base; None means unknown or not constrained, never absent, unless said.
"""

from __future__ import annotations

import msgspec

SCHEMA = "envdoctor.plan/1"

PURPOSES = ("run", "train", "build-extensions")


class TargetGpu(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU to plan for. `capability`: "9.0"; `kind`: the knowledge base's GpuRecord.kind, None where not known.
    `open_kernel_modules`: as GpuRecord has it, for the GPUs that differ from their architecture; `first_driver`: the first
    that lists this very model; None where not known."""

    name: str
    capability: str
    kind: str | None = None
    open_kernel_modules: str | None = None
    first_driver: str | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """The machine to plan for, from a Snapshot or from a description.

    `gpus`: () is a machine known to have none, None one that was not described. `os`: "ubuntu24.04", "debian12", "rhel9",
    "sles15", "windows", "macos"... `arch`: "x86_64" or "aarch64" (macOS: "arm64"). `platform`: the knowledge base's
    name, "linux_x86_64". `glibc`: "2.39". `python`: the interpreter there, "3.12". `driver`: of the host.
    """

    gpus: tuple[TargetGpu, ...] | None = None
    driver: str | None = None
    os: str | None = None
    arch: str = "x86_64"
    platform: str = "linux_x86_64"
    glibc: str | None = None
    python: str | None = None
    wsl: bool = False
    container: bool = False
    jetson: bool = False

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The distinct compute capabilities, in the order of the GPUs."""
        return tuple(dict.fromkeys(gpu.capability for gpu in self.gpus or ()))


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asks for beyond the machine. `torch`: a requirement, ">=2.6"; `cuda`: "12.8", "12" for any minor, or "cpu";
    `python`: insisted on, where Target.python only says what is there; `packages`: the user's own requirements (PEP 508),
    checked against the plan and installed after torch; `container`: the stack goes into an image, which brings its own C
    library and Python."""

    torch: str | None = None
    cuda: str | None = None
    python: str | None = None
    purpose: str = "run"
    packages: tuple[str, ...] = ()
    container: bool = False


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """One resolved set of versions that all go together: everything that the templates in recipes/ need.

    `os`, `arch`, `glibc`: the target's; in an image the C library is the image's, so that `glibc` is None.
    `channel`: "cu132", "cu126", "cpu"... `index_url`: None where pip's default index (PyPI) serves these wheels.
    `requirements`: exact pins in install order, without the user's own `packages`. `torchaudio` is None where none goes
    with this torch; `torchaudio_reason` says why. `min_driver`: that the wheels need on these GPUs, None for CPU builds.
    `driver_branch`: the branch to install where the machine has none or one too old. `driver_flavour`: "open",
    "proprietary" or "either", by the GPUs. `base_image`: for running; `build_image`: with nvcc, only where `purpose` is
    "build-extensions"; `toolkit`: that toolkit's CUDA minor. `host_compiler`: newest gcc major that this nvcc accepts.
    `environment`: variables that the stack needs. `arch_list`: TORCH_CUDA_ARCH_LIST for these GPUs.
    """

    python: str
    torch: str
    torchvision: str | None = None
    torchaudio: str | None = None
    torchaudio_reason: str | None = None
    cuda: str | None = None
    channel: str
    index_url: str | None = None
    requirements: tuple[str, ...]
    packages: tuple[str, ...] = ()
    cudnn: str | None = None
    nccl: str | None = None
    triton: str | None = None
    min_driver: str | None = None
    driver_branch: str | None = None
    driver_flavour: str | None = None
    platform: str = "linux_x86_64"
    os: str | None = None
    arch: str = "x86_64"
    glibc: str | None = None
    base_image: str | None = None
    build_image: str | None = None
    toolkit: str | None = None
    host_compiler: str | None = None
    system_packages: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    arch_list: str | None = None
    gpus: tuple[TargetGpu, ...] = ()
    purpose: str = "run"
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    @property
    def on_gpu(self) -> bool:
        """Whether it is to compute on a GPU: a CUDA build also runs on a machine that is known to have none."""
        return self.cuda is not None and (bool(self.gpus) or self.min_driver is not None)


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the derivation, in the order a person follows it: what was asked or found, and what it rules out or decides.
    `constraint`: the short name of what it rests on ("gpu", "driver", "python", "glibc", "platform", "torch", "cuda",
    "package", "preference"; "conclusion" ends a derivation of why there is no plan)."""

    constraint: str
    text: str


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """A change that makes the plan feasible or better, cheapest first, and the Stack that it would buy.

    `cost`: "none", "reinstall", "python", "driver", "os", "hardware"; `change`: one line that starts with a verb.
    `commands`: what to type where one line does it.
    """

    change: str
    buys: str
    cost: str
    commands: tuple[str, ...] = ()
    stack: Stack | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the planner answers. `stack` is None exactly where `feasible` is False."""

    feasible: bool
    target: Target
    wishes: Wishes
    stack: Stack | None = None
    reasons: tuple[Reason, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
