"""Whether the installed torch has code for the GPUs: shared by the two diagnoses of it."""

from __future__ import annotations

import msgspec

from envdoctor.diagnosis.snapshot_queries import GpuFacts, visible_gpus
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Torch
from envdoctor.knowledge import Knowledge


class CodeGap(msgspec.Struct, frozen=True):
    """Visible GPUs that torch has no code for. `unsure` where the flags come from a table and not from the build itself."""

    torch: Torch
    flags: tuple[str, ...]
    without_code: tuple[GpuFacts, ...]
    with_code: tuple[GpuFacts, ...]
    unsure: bool

    @property
    def name(self) -> str:
        return f"torch {self.torch.version}" if self.torch.version else "This torch"

    @property
    def oldest(self) -> tuple[int, int]:
        return min(_number(flag) for flag in self.flags)

    def evidence(self) -> tuple[Evidence, ...]:
        source = "torch.arch_flags" if not self.unsure else "knowledge: torch.arch_flags"
        return (
            fact("torch.version", self.torch.version),
            fact(source, " ".join(self.flags)),
            *(fact(f"{gpu.fact}.compute_capability", f"{gpu.capability} ({gpu.name})") for gpu in self.without_code),
        )


def code_gap(machine: Snapshot, world: Knowledge) -> CodeGap | None:
    """The visible GPUs for which the installed CUDA build of torch has no code; None when there are none or it is not known."""
    torch = machine.torch
    if torch is None or torch.build != "cuda":
        return None
    # A computation that came out right is proof, whatever flags and tables say.
    if torch.run is not None and torch.run.computation == "ok":
        return None
    known = [gpu for gpu in visible_gpus(machine, world) or () if gpu.capability]
    if not known:
        return None
    flags, unsure = (torch.arch_flags, False) if torch.arch_flags else (_published_flags(machine, torch, world), True)
    if not flags:
        return None
    runs = {gpu.capability: world.runs_on(flags, gpu.capability, torch.cuda) for gpu in known if gpu.capability}
    without = tuple(gpu for gpu in known if not runs[gpu.capability or ""])
    if not without:
        return None
    return CodeGap(torch, flags, without, tuple(gpu for gpu in known if runs[gpu.capability or ""]), unsure)


def _published_flags(machine: Snapshot, torch: Torch, world: Knowledge) -> tuple[str, ...]:
    """The flags of the published wheel that this torch must be; () for conda, vendor, nightly and source builds."""
    interpreter, platform = machine.interpreter, machine.host.platform if machine.host else None
    if torch.version is None or torch.release is None or interpreter is None:
        return ()
    distribution = interpreter.distribution("torch")
    if (
        distribution is None
        or distribution.installer not in ("pip", "uv", "poetry", "pdm", None)
        or distribution.editable
    ):
        return ()
    if any(package.name in ("pytorch", "libtorch") for package in interpreter.conda_packages or ()):
        return ()
    local = torch.version.partition("+")[2]
    for build in world.torch_builds(torch.release):
        same = build.torch == torch.release and build.platform == platform and build.cuda == torch.cuda
        # Only what was read from a wheel or seen by a user accuses; scripts and documents were found wrong before.
        if same and local in ("", build.variant) and build.confidence in ("measured", "observed"):
            return build.arch_flags
    return ()


def _number(flag: str) -> tuple[int, int]:
    """'sm_90a' -> (9, 0), 'compute_120' -> (12, 0)."""
    digits = "".join(c for c in flag.partition("_")[2] if c.isdecimal())
    return int(digits[:-1] or 0), int(digits[-1:] or 0)


def capability_number(capability: str) -> tuple[int, int]:
    major, _, minor = capability.partition(".")
    return int(major), int(minor or 0)
