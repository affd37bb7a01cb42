"""torchvision was built for another torch, or for another CUDA variant.

What it is
    Each torchvision release is compiled against exactly one torch release. With another one its operators do not load:
    'operator torchvision::nms does not exist', undefined symbols, or 'compiled with different CUDA major versions'.

Told apart by
    torchvision's own metadata pins the torch it was built for (`Requires-Dist: torch==2.15.0`); where there is none (a dump),
    the table of releases speaks. The local version tags (+cu126, +cpu) tell the variants apart: a different CUDA major version
    or a CPU torchvision beside a CUDA torch is a mismatch, different minors of one CUDA are not.

Repair
    The torchvision that goes with the torch that is there, from the same channel.

Sources
    torchvision/extension.py, `_check_cuda_version`; github.com/pytorch/vision#installation
"""

from __future__ import annotations

from envdoctor.diagnosis.companions import sibling_built_for, variant, variants_clash
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.companion_install import companion_fixes
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.conditions import torchvision_near
from envdoctor.reading.messages.message import Message

REFUSED = ("undefined symbol", "torchvision::nms does not exist", "different CUDA major versions")


MESSAGES = (
    Message("operator torchvision::{name} does not exist", "torchvision/_meta_registrations.py"),
    Message("torchvision::nms does not exist", "torch.library"),
    Message(
        "Couldn't load custom C++ ops. This can happen if your PyTorch and torchvision versions are incompatible",
        "torchvision/extension.py",
    ),
    Message("No such operator torchvision::nms", "torch/_ops.py"),
    Message("No such operator torchvision::", "torch/_ops.py"),
    Message("'_OpNamespace' 'torchvision' object has no attribute", "torch/_ops.py"),
    Message(
        "Could not run 'torchvision::{name}' with arguments from the 'CUDA' backend",
        "c10 dispatcher: a CPU build of torchvision",
    ),
    Message(
        "Detected that PyTorch and torchvision were compiled with different CUDA",
        "torchvision/extension.py: _check_cuda_version",
    ),
    Message("Please reinstall the torchvision that matches your PyTorch install", "torchvision/extension.py"),
    Message("Failed to load image Python extension", "torchvision/io/image.py", 0.75),
    Message("cannot import name '{name}' from 'torchvision.{module}'", "CPython", 0.5),
    Message("torchvision/{path}: undefined symbol: {symbol}", "glibc", 0.95),
    Message("No module named 'torchvision.transforms.functional_tensor'", "torchvision 0.17 removed it; basicsr", 0.5),
    Message("cannot import name 'PILLOW_VERSION' from 'PIL'", "torchvision before 0.5 with Pillow 7", 0.4),
    Message("module 'torchvision' has no attribute", "CPython", 0.4),
    Message(
        "torchvision {version} requires torch=={need}, but you have torch {have} which is incompatible",
        "pip, after an install",
        0.95,
    ),
    Message(
        "partially initialized module 'torchvision' has no attribute 'extension'",
        "torchvision: its extension did not load",
        0.85,
    ),
    Message("partially initialized module 'torchvision'", "torchvision", 0.75),
    Message("Cannot import name 'InterpolationMode' from 'torchvision.transforms'", "torchvision before 0.9", 0.5),
    Message(
        "torchvision {version} has requirement torch=={need}, but you'll have torch {have} which is incompatible",
        "pip before 20.3",
        0.95,
    ),
    Message("torchvision {version} depends on torch=={need}", "pip, uv, poetry: resolvers", 0.75),
    Message("torchvision=={version} depends on torch=={need}", "uv, resolver", 0.8),
    Message("RuntimeError: Couldn't load custom C++ ops", "torchvision/extension.py"),
    Message(
        "Could not find module '{path}torchvision\\image.pyd'",
        "CPython, ctypes: torchvision's extension does not load",
        0.85,
    ),
    Message("torchvision/image.so: undefined symbol", "glibc", 0.95),
    Message("torchvision/_C.so: undefined symbol", "glibc", 0.95),
    Message("Symbol not found: {symbol} Referenced from: {path}torchvision", "dyld", 0.95),
    Message("libtorch{name}.so: cannot open shared object file", "glibc", 0.75, when=torchvision_near),
    Message("module 'torch.ops' has no attribute 'torchvision'", "torch/_ops.py", 0.9),
    Message("Unknown builtin op: torchvision::nms", "torch, TorchScript", 0.9),
    Message(
        "module 'torch.library' has no attribute 'register_fake'",
        "torchvision 0.19 and later with torch before 2.4",
        0.95,
    ),
    Message(
        "module 'torch.library' has no attribute 'impl_abstract'",
        "torchvision 0.17 and 0.18 with torch before 2.1",
        0.9,
    ),
    Message("module 'torch' has no attribute '_custom_ops'", "torchvision of another torch", 0.5),
    Message("cannot import name '_log_api_usage_once' from 'torchvision.utils'", "torchvision of another version", 0.6),
)


@diagnosis(
    "torchvision-mismatch",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("torch-duplicate-install",),
    messages=MESSAGES,
    remedy=lambda machine, world: companion_fixes(machine, world, "torchvision"),
)
def torchvision_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter, torch = machine.interpreter, machine.torch
    vision = interpreter.distribution("torchvision") if interpreter else None
    if torch is None or torch.version is None or vision is None or vision.version is None:
        return None
    fixes = companion_fixes(machine, world, "torchvision")
    built_for = sibling_built_for(machine, world, "torchvision")
    if built_for is not None:
        return Finding(
            summary=f"torchvision {vision.version} was built for torch {built_for}; torch {torch.version} is installed.",
            evidence=(
                fact("torchvision.version", vision.version),
                fact("torchvision.requires", f"torch=={built_for}"),
                fact("torch.version", torch.version),
            ),
            # Its operators were seen to load, so it works as far as that goes.
            severity=Severity.WARNING if torch.run is not None and torch.run.torchvision == "ok" else None,
            fixes=fixes,
        )
    said = torch.run.torchvision if torch.run else None
    if said is not None and any(words in said for words in REFUSED):
        return Finding(
            summary=f"torchvision {vision.version} does not load into torch {torch.version}: it was built for another one.",
            evidence=(
                fact("torch.run.torchvision", " ".join(said.split())[:300]),
                fact("torchvision.version", vision.version),
            ),
            fixes=fixes,
        )
    ours, theirs = variant(torch.version), variant(vision.build or vision.version)
    if ours is None or theirs is None or not variants_clash(ours, theirs):
        return None
    return Finding(
        summary=f"torchvision {vision.version} and torch {torch.version} are builds for different devices "
        f"({theirs} and {ours}): torchvision's CUDA operators will fail.",
        evidence=(fact("torchvision.version", vision.version), fact("torch.version", torch.version)),
        fixes=fixes,
    )
