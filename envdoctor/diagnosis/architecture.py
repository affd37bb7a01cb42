"""Whether the installed torch has code for the GPUs, and which of them are too new or too old for it."""

from __future__ import annotations

import enum

import msgspec

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.diagnosis.snapshot_queries import plain_list
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Torch
from envdoctor.knowledge import Knowledge, KnowledgeError, TorchBuild
from envdoctor.knowledge.versions import cuda_key
from envdoctor.planning.machine_gpus import MachineGpu, visible_gpus

READ_FROM_A_WHEEL = ("measured", "observed")
"""Confidences of a published build's list of architectures that accuse by themselves; lists from build scripts and documents were
found wrong before, and only tell which of two causes an error means."""


class CodeSource(enum.Enum):
    """Where it is known from which architectures torch has code for, the surest first."""

    TORCH = "torch.arch_flags"
    WHEEL = "knowledge: torch.arch_flags"
    BUILD_SCRIPT = "knowledge: torch.arch_flags of the build script"
    TOOLKIT = "knowledge: architectures of the CUDA toolkit"


class DeviceCode(msgspec.Struct, frozen=True):
    """The visible GPUs by what torch's code can do on them. `flags`: () where only the toolkit's limits are known."""

    torch: Torch
    flags: tuple[str, ...]
    source: CodeSource
    running: tuple[MachineGpu, ...]
    too_new: tuple[MachineGpu, ...]
    too_old: tuple[MachineGpu, ...]

    @property
    def name(self) -> str:
        return f"torch {self.torch.version}" if self.torch.version else "This torch"

    @property
    def built_for(self) -> str:
        """What stands after 'it was built'."""
        return f"for {' '.join(self.flags)}" if self.flags else f"with CUDA {self.torch.cuda}"

    @property
    def confidence(self) -> float:
        return {CodeSource.TORCH: 1.0, CodeSource.WHEEL: 0.8}.get(self.source, 0.7)

    def evidence(self) -> tuple[Evidence, ...]:
        code = fact(self.source.value, " ".join(self.flags)) if self.flags else fact("torch.cuda", self.torch.cuda)
        return (
            fact("torch.version", self.torch.version),
            code,
            *(
                fact(f"{g.capability_from}.compute_capability", f"{g.capability} ({g.name})")
                for g in self.too_new + self.too_old
            ),
        )


class Age(enum.Enum):
    """What a GPU's own age says where torch is not known."""

    OLD = "old"
    """torch's newest build has dropped it; builds of every release before have code for it."""
    NEW = "new"
    """No toolkit of the oldest torch in the tables makes code for it; the newest torch has it."""


def age(machine: Snapshot, world: Knowledge) -> Age | None:
    """Whether all visible GPUs whose capability is known are old, or all are new."""
    known = [gpu.capability for gpu in visible_gpus(machine, world) or () if gpu.capability]
    newest = next((build for build in world.torch_builds() if build.cuda and build.index_url is None), None)
    releases = world.torch_releases()
    first = max((b.cuda for b in world.torch_builds(releases[-1].version) if b.cuda), key=cuda_key, default=None)
    if not known or newest is None or first is None:
        return None
    if all(
        world.serves(newest, capability) is False and world.toolkit_reaches(first, capability) for capability in known
    ):
        return Age.OLD
    return Age.NEW if all(world.toolkit_reaches(first, capability) is False for capability in known) else None


def device_code(machine: Snapshot, world: Knowledge) -> DeviceCode | None:
    """What the installed CUDA build of torch has code for, against the visible GPUs whose compute capability is known; None where
    one of the two is not known, or a computation came out right, which is proof, whatever flags and tables say."""
    torch = machine.torch
    if torch is None or torch.build != "cuda" or (torch.run is not None and torch.run.computation == "ok"):
        return None
    known = tuple(gpu for gpu in visible_gpus(machine, world) or () if gpu.capability)
    if not known:
        return None
    flags, source = _flags(machine, torch, world)
    if source in (CodeSource.BUILD_SCRIPT, CodeSource.TOOLKIT):
        limits = _by_toolkit(torch, known, world)
        # What the toolkit cannot make is in no build of it, whatever a script's list says.
        if not flags or (limits is not None and (limits.too_new or limits.too_old)):
            return limits
    without = [gpu for gpu in known if not world.runs_on(flags, gpu.capability or "", torch.cuda)]
    oldest = min(_number(flag) for flag in flags)
    return DeviceCode(
        torch=torch,
        flags=flags,
        source=source,
        running=tuple(gpu for gpu in known if gpu not in without),
        too_new=tuple(gpu for gpu in without if capability_number(gpu.capability or "") >= oldest),
        too_old=tuple(gpu for gpu in without if capability_number(gpu.capability or "") < oldest),
    )


def lacking(code: DeviceCode, gpus: tuple[MachineGpu, ...], what: str, fixes: tuple[Fix, ...]) -> Finding:
    """The finding about GPUs that torch has no code for; `what` stands between torch's name and theirs."""
    return Finding(
        summary=f"{code.name} {what} {plain_list(gpus)}: it was built {code.built_for}.",
        severity=Severity.WARNING if code.running else None,
        evidence=code.evidence(),
        fixes=fixes,
        confidence=code.confidence,
    )


def has_code(machine: Snapshot, world: Knowledge) -> bool | None:
    """Whether torch has code for every visible GPU; None where its code or a GPU's capability is not known for sure."""
    gpus = visible_gpus(machine, world)
    code = device_code(machine, world)
    if code is None or not gpus or any(gpu.capability is None for gpu in gpus):
        return None
    if code.too_new or code.too_old:
        return False
    return True if len(code.running) == len(gpus) and code.source is not CodeSource.TOOLKIT else None


def _by_toolkit(torch: Torch, known: tuple[MachineGpu, ...], world: Knowledge) -> DeviceCode | None:
    """By the limits of the CUDA that torch was built with: it cannot hold code for a GPU that this toolkit does not know."""
    if torch.cuda is None:
        return None
    try:
        # Builds of vendors and from source may hold PTX, which a newer GPU can run; published wheels of that age do not.
        published = torch.release is not None and "a" not in torch.release and not _vendors_own(torch)
        too_new = tuple(gpu for gpu in known if published and _newer_than(torch.cuda, gpu.capability or "", world))
        too_old = tuple(gpu for gpu in known if dropped_by(torch.cuda, gpu.capability or "", world))
    except KnowledgeError:
        return None
    running = tuple(gpu for gpu in known if gpu not in too_new + too_old)
    return DeviceCode(torch, (), CodeSource.TOOLKIT, running, too_new, too_old)


def _vendors_own(torch: Torch) -> bool:
    """Whether the version is of a vendor's or a source build: '2.8.0a0+5228986c39.nv25.06', '2.6.0+git1234'."""
    local = (torch.version or "").partition("+")[2]
    return "nv" in local or "git" in local


def _newer_than(cuda: str, capability: str, world: Knowledge) -> bool:
    """Whether a toolkit can make no code for a GPU that came after it; or is of a major version before the first that knows the
    GPU, so that none of its libraries has kernels for it."""
    record = world.architecture(capability)
    if record is None or record.first_cuda is None or cuda_key(record.first_cuda) <= cuda_key(cuda):
        return False
    return world.toolkit_reaches(cuda, capability) is False or cuda_key(record.first_cuda)[0] > cuda_key(cuda)[0]


def dropped_by(cuda: str, capability: str, world: Knowledge) -> bool:
    """Whether a toolkit can no longer compile for this capability."""
    record = world.architecture(capability)
    return record is not None and record.last_cuda is not None and cuda_key(record.last_cuda) < cuda_key(cuda)


def _flags(machine: Snapshot, torch: Torch, world: Knowledge) -> tuple[tuple[str, ...], CodeSource]:
    if torch.arch_flags:
        return torch.arch_flags, CodeSource.TORCH
    build = _published(machine, torch, world)
    if build is None:
        return (), CodeSource.TOOLKIT
    return build.arch_flags, CodeSource.WHEEL if build.confidence in READ_FROM_A_WHEEL else CodeSource.BUILD_SCRIPT


def _published(machine: Snapshot, torch: Torch, world: Knowledge) -> TorchBuild | None:
    """The published wheel that this torch must be, whose code is known; None for conda, vendor, nightly and source builds."""
    interpreter, platform = machine.interpreter, machine.host.platform if machine.host else None
    if torch.version is None or torch.release is None or interpreter is None:
        return None
    distribution = interpreter.distribution("torch")
    if distribution is None and interpreter.distributions_complete:
        return None  # it lies on the path without metadata: a source build
    by_pip = distribution is None or distribution.installer in ("pip", "uv", "poetry", "pdm", None)
    if not by_pip or (distribution is not None and distribution.editable):
        return None
    if any(package.name in ("pytorch", "libtorch") for package in interpreter.conda_packages or ()):
        return None
    local = torch.version.partition("+")[2]
    found = [
        build
        for build in world.torch_builds(torch.release)
        if build.torch == torch.release
        and build.platform == (platform or "linux_x86_64")
        and (torch.cuda is None or build.cuda == torch.cuda)
        and build.arch_flags
        and (build.variant == local if local else torch.cuda is not None or build.index_url is None)
    ]
    return next((build for build in found if build.confidence in READ_FROM_A_WHEEL), found[0] if found else None)


def _number(flag: str) -> tuple[int, int]:
    """'sm_90a' -> (9, 0), 'compute_120' -> (12, 0)."""
    digits = "".join(c for c in flag.partition("_")[2] if c.isdecimal())
    return int(digits[:-1] or 0), int(digits[-1:] or 0)


def capability_number(capability: str) -> tuple[int, int]:
    major, _, minor = capability.partition(".")
    return int(major), int(minor or 0)
