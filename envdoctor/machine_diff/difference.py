"""What differs between two machines, the telling differences first."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import zip_longest

import msgspec

from envdoctor.diagnosis.judging import judge_snapshot
from envdoctor.diagnosis.model import Diagnosed
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.gpu import Gpu
from envdoctor.knowledge import Knowledge
from envdoctor.machine_diff.fact_table import Comparable, Value, comparable
from envdoctor.planning.machine_gpus import MachineGpu, machine_gpus


class Weight(enum.Enum):
    """How much a difference tells."""

    DECISIVE = "decisive"
    """It can decide whether torch runs."""
    RELEVANT = "relevant"
    """It can matter for what is built, installed or measured."""
    MINOR = "minor"
    """It rarely matters, or one side does not know the fact."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that is not the same on both machines. None: not known there; False: known to be absent."""

    fact: str
    a: Value | None
    b: Value | None
    weight: Weight

    @property
    def known(self) -> bool:
        """Whether both machines know the fact: only then is it certain that they differ."""
        return self.a is not None and self.b is not None


class OnlyIn(msgspec.Struct, frozen=True, kw_only=True):
    """Codes of the diagnoses that one machine has and the other has not."""

    only_a: tuple[str, ...]
    only_b: tuple[str, ...]


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """Two machines beside each other."""

    diagnosed_a: Diagnosed
    diagnosed_b: Diagnosed
    findings: OnlyIn
    differences: tuple[Difference, ...]
    """The most telling first."""

    @property
    def telling(self) -> bool:
        """Whether anything differs that may explain why one works and the other does not."""
        weighty = any(d.weight is not Weight.MINOR for d in self.differences)
        return bool(self.findings.only_a or self.findings.only_b or weighty)


# The order is that of the answer; the first pattern that fits counts; what fits none is noise (clocks, temperatures, use, free
# memory, process numbers, seconds, serial numbers, UUIDs, addresses, paths).
_WEIGHTS: tuple[tuple[Weight, tuple[str, ...]], ...] = (
    (Weight.DECISIVE, (
        "torch.version", "torch.build", "torch.cuda", "torch.hip", "torch.arch_flags",
        "driver.version", "driver.module.flavour", "driver.module.loaded", "driver.module.uvm_loaded",
        "driver.module.nouveau_loaded", "pci.driver", "driver.cuda",
        "gpu.?", "gpu.??", "gpu.*.compute_capability", "gpu.*.lost",
        "nvml.status", "cuda_driver.init_name", "cuda_driver.init_code", "cuda_driver.outcome", "cuda_driver.library_missing",
        "cuda_driver.device_count",
        "torch.run.outcome", "torch.run.cuda_available", "torch.run.computation", "torch.run.cudnn_convolution",
        "torch.run.torchvision", "torch.run.error", "torch.run.signal", "torch.run.stage", "torch.run.cuda_error",
        "torch.run.cudnn_error", "torch.run.device_count",
        "torch.run.cudnn_version", "torch.run.nccl_version", "torch.cudnn_built",
        "interpreter.error", "interpreter.broken_pins.*",
        "interpreter.distributions.torch", "interpreter.distributions.torchvision", "interpreter.distributions.torchaudio",
        "interpreter.distributions.torch*.build", "interpreter.distributions.*triton*", "interpreter.distributions.nvidia-*",
        "interpreter.distributions.*.missing_files", "interpreter.distributions.*.damaged_files",
        "interpreter.duplicates.*", "interpreter.leftovers", "interpreter.shadowed.*",
        "torch.run.mapped.*", "driver.libraries.*",
        "environment.LD_*", "environment.CUDA_*", "environment.NVIDIA_*", "environment.PYTORCH_*", "environment.TORCH_*",
        "environment.NCCL_*",
        "driver.device_nodes.*", "driver.fabric_manager.*", "container.kind", "host.wsl", "host.system", "host.architecture",
        "gpu.*.mig_enabled", "gpu.*.compute_mode", "gpu.*.row_remap_failed", "gpu.*.row_remap_pending",
        "gpu.*.fabric_stat*", "logs.xid",
    )),
    (Weight.RELEVANT, (
        "interpreter.version", "interpreter.implementation", "interpreter.bits", "interpreter.free_threaded",
        "interpreter.environment", "torch.cxx11_abi", "torch.debug",
        "interpreter.extension_builds.*", "interpreter.extension_builds.*.cuda", "interpreter.extension_builds.*.arch_flags",
        "interpreter.conda_packages.*", "interpreter.distributions.*",
        "libraries.files.*", "toolkit.nvcc", "toolkit.cuda_home", "toolkit.compilers.*",
        "gpu.*.memory_total", "gpu.*.ecc_enabled", "gpu.*.power_limit", "gpu.*.pcie_generation_max", "gpu.*.pcie_width",
        "gpu.*.ecc_uncorrected_*", "gpu.*.rows_remapped_uncorrectable", "gpu.*.nvlinks.*",
        "driver.secure_boot", "driver.module.*", "driver.persistenced_running", "driver.kernel_headers", "driver.packages.*",
        "environment.PYTHON*", "environment.OMP_*", "environment.MKL_*", "environment.CC", "environment.CXX",
        "container.toolkit_version", "container.kubernetes", "container.slurm",
        "host.kernel", "host.distribution.id", "host.distribution.version_id", "host.glibc", "host.libstdcxx",
        "host.virtualization", "host.shm_total", "host.root", "probes.*",
    )),
    (Weight.MINOR, (
        "host.cpu_model", "host.cpu_count", "host.cpu_usable", "host.memory_total", "host.os_name",
        "interpreter.externally_managed", "interpreter.pip", "interpreter.distributions.*.installer",
        "interpreter.distributions.*.editable", "gpu.*.vbios", "gpu.*.persistence_mode", "driver.module_files.*", "driver.dkms.*",
        "environment.PATH", "toolkit.ninja",
    )),
)  # fmt: skip
_PATTERNS = tuple((pattern, weight) for weight, patterns in _WEIGHTS for pattern in patterns)
_NOISE = len(_PATTERNS)
# Sizes below this part of one another are the same card or machine, read through two tools.
_SAME_SIZE = 0.02
# A change is told once, under the first of these names, where the others only repeat it.
_REPEATS = ("driver.version", "torch.version", "driver.cuda", "torch.run.cuda_error")
_REPEATING = (
    "driver.*",
    "nvml.*",
    "cuda_driver.*",
    "torch.*",
    "interpreter.distributions.torch",
    "libraries.files.libcuda",
)


def compare(a: Snapshot, b: Snapshot, world: Knowledge, *, everything: bool = False) -> Compared:
    """Lays two machines beside each other; `everything` keeps the noise too."""
    judged_a, judged_b = (judge_snapshot(snapshot, world) for snapshot in (a, b))
    codes_a, codes_b = ([finding.code for finding in judged.findings] for judged in (judged_a, judged_b))
    ranked = sorted(_differences(a, b, world), key=lambda item: (not item[1].known, item[0]))
    return Compared(
        diagnosed_a=judged_a,
        diagnosed_b=judged_b,
        findings=OnlyIn(
            only_a=tuple(code for code in codes_a if code not in codes_b),
            only_b=tuple(code for code in codes_b if code not in codes_a),
        ),
        differences=tuple(difference for rank, difference in ranked if everything or rank < _NOISE),
    )


def _differences(a: Snapshot, b: Snapshot, world: Knowledge) -> Iterator[tuple[int, Difference]]:
    """Every difference with its rank: the place of its pattern."""
    numbered_a, numbered_b = _paired(_gpus(a, world), _gpus(b, world))
    left, right = comparable(a, numbered_a), comparable(b, numbered_b)
    told: set[tuple[Value | None, Value | None]] = set()
    names = dict.fromkeys((*_REPEATS, *left.facts, *right.facts))
    for name in names:
        parent = left.parents.get(name) or right.parents.get(name)
        if parent and (_value(left, right, parent) is False or _value(right, left, parent) is False):
            continue  # the entry itself is told as absent
        if name in left.complete and name in right.complete:
            continue  # its entries are compared one by one
        pair = _value(left, right, name), _value(right, left, name)
        if pair[0] == pair[1] or _same_size(name, *pair):
            continue
        rank, weight = _weight(name, parent)
        if None in pair:
            weight = Weight.MINOR
        if name in _REPEATS:
            told.add(pair)
        elif pair in told and any(fnmatchcase(name, pattern) for pattern in _REPEATING):
            rank, weight = _NOISE, Weight.MINOR
        yield rank, Difference(fact=name, a=pair[0], b=pair[1], weight=weight)


def _value(own: Comparable, other: Comparable, name: str) -> Value | None:
    value = own.facts.get(name)
    if value is None and (own.groups.get(name) or other.groups.get(name)) in own.complete:
        return False
    return value


def _same_size(name: str, a: Value | None, b: Value | None) -> bool:
    if isinstance(a, bool) or isinstance(b, bool) or not (isinstance(a, (int, float)) and isinstance(b, (int, float))):
        return False
    return name.endswith("_total") and abs(a - b) <= _SAME_SIZE * max(abs(a), abs(b))


def _weight(name: str, parent: str | None) -> tuple[int, Weight]:
    # A field of a list's entry counts only where it is named: most follow from the entry, or are folders.
    field = parent is not None and parent != "torch.version" and not parent.startswith("gpu.")
    for rank, (pattern, weight) in enumerate(_PATTERNS):
        if fnmatchcase(name, pattern) and not (field and pattern.endswith("*")):
            return rank, weight
    return _NOISE, Weight.MINOR


def _gpus(snapshot: Snapshot, world: Knowledge) -> list[tuple[MachineGpu, Gpu | None]] | None:
    known = machine_gpus(snapshot, world)
    if known is None:
        return None
    detailed = snapshot.gpus or ()
    return list(zip_longest(known, detailed)) if len(detailed) == len(known) else [(gpu, None) for gpu in known]


Numbered = list[tuple[int, MachineGpu, Gpu | None]]


def _paired(
    a: list[tuple[MachineGpu, Gpu | None]] | None, b: list[tuple[MachineGpu, Gpu | None]] | None
) -> tuple[Numbered | None, Numbered | None]:
    """The GPUs of both under common numbers: A's own, and for B's those of the same place and name, else of the same name, else
    of the same place; what is left follows."""
    numbered_a = None if a is None else [(place, *gpu) for place, gpu in enumerate(a)]
    if b is None:
        return numbered_a, None
    names = [gpu.name for gpu, _ in a or ()]
    free = set(range(len(names)))
    numbers: dict[int, int] = {}
    for by_place, by_name in ((True, True), (False, True), (True, False)):
        for place, (gpu, _) in enumerate(b):
            if place in numbers:
                continue
            fits = (n for n in sorted(free) if not (by_place and n != place) and not (by_name and names[n] != gpu.name))
            number = next(fits, None)
            if number is not None:
                numbers[place] = number
                free.discard(number)
    spare = iter(range(len(names), len(names) + len(b)))
    return numbered_a, [(numbers[place] if place in numbers else next(spare), *gpu) for place, gpu in enumerate(b)]
