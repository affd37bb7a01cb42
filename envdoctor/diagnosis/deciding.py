"""The deciding question: where two causes remain about as likely and one command tells them apart, that command comes first."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
from msgspec.structs import replace

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import visible_gpus

CLOSE = 0.15
"""Two confidences that are no further apart say nothing of which of the two it is."""
TOGETHER = "Then give both to `envdoctor explain -`: the text and what this prints."


class DecidingQuestion(msgspec.Struct, frozen=True):
    """`open`: whether what the command would show is not known yet."""

    codes: frozenset[str]
    title: str
    commands: tuple[str, ...]
    open: Callable[[Snapshot, Knowledge], bool]


def _code_unknown(snapshot: Snapshot, world: Knowledge) -> bool:
    torch, gpus = snapshot.torch, visible_gpus(snapshot, world)
    known = bool(gpus) and all(gpu.capability for gpu in gpus or ())
    return torch is None or (torch.arch_flags is None and torch.version is None) or not known


def _paths_unknown(snapshot: Snapshot, world: Knowledge) -> bool:
    return snapshot.libraries is None or snapshot.libraries.ld_library_path is None


def _driver_unknown(snapshot: Snapshot, world: Knowledge) -> bool:
    return snapshot.driver_version is None and not snapshot.gpus


QUESTIONS = (
    DecidingQuestion(
        frozenset({"gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch", "extension-arch-missing"}),
        "See first whether torch has code for this GPU: each of the causes has another repair",
        (
            'python -c "import torch; print(torch.__version__, torch.cuda.get_arch_list(), torch.cuda.get_device_capability())"',
        ),
        _code_unknown,
    ),
    DecidingQuestion(
        frozenset(
            {
                "driver-missing", "driver-not-loaded", "driver-library-mismatch", "driver-too-old", "container-no-gpu",
                "torch-cpu-only", "visible-devices-hidden", "uvm-broken", "wsl-driver-problem", "device-permission", "gpu-lost",
            }
        ),
        "See first what the driver and torch say: each of the causes has another repair",
        ("nvidia-smi", "python -m torch.utils.collect_env"),
        _driver_unknown,
    ),
    DecidingQuestion(
        frozenset(
            {"cudnn-version-mismatch", "cudnn-shadowed", "cudnn-missing", "library-path-conflict", "nvidia-wheels-mismatch"}
        ),
        "See first whether the loader is led to other libraries than torch's own, and which wheels are installed",
        ("env | grep LD_LIBRARY_PATH=", "python -m pip list --format=freeze"),
        _paths_unknown,
    ),
)  # fmt: skip


def with_question(findings: Iterable[Finding], snapshot: Snapshot, world: Knowledge) -> tuple[Finding, ...]:
    """The same findings; the first of them begins with the question where another is as likely and one question decides."""
    found = tuple(findings)
    roots = [f for f in found if f.consequence_of is None and f.severity is Severity.ERROR]
    if not roots or found[0] is not roots[0]:
        return found
    first, rest = roots[0], roots[1:]
    for question in QUESTIONS:
        rivals = [f for f in rest if f.code in question.codes and f.confidence >= first.confidence - CLOSE]
        if first.code in question.codes and rivals and question.open(snapshot, world):
            fix = Fix(title=question.title, commands=question.commands, note=TOGETHER)
            return (replace(first, fixes=(fix, *first.fixes)), *found[1:])
    return found
