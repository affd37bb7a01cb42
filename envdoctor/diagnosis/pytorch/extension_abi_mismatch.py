"""A compiled extension was built for another torch, another C++ ABI or another CUDA.

What it is
    Packages with C++ or CUDA code (attention kernels, sparse operators, detection ops) are compiled against one torch release.
    Loaded into another one they fail: 'undefined symbol: _ZN3c10...', 'libcudart.so.11.0: cannot open shared object file'. It
    happens after torch alone was updated.

Told apart by
    The extension's own pin on torch (compiled wheels only; a patch release of the same minor is compatible); what the
    publisher wrote into its version (+pt26cu124, cu12torch2.6cxx11abiFALSE); what it says of its build; the loader's error naming
    a file that is not torch's. torchvision and torchaudio have their own; a wrong nvcc as its cause is `toolkit-mismatch`.

Repair
    The build of the extension for this torch, compiled anew where there is none; or the torch that it was built for.

Sources
    the packages' metadata and file names; the Itanium C++ ABI's mangled names; torch._C._GLIBCXX_USE_CXX11_ABI
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from envdoctor.diagnosis.companions import compiled, distribution_built_for, major_of, pins, release_of
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.extension import extension_fixes
from envdoctor.diagnosis.snapshot_queries import plain_list
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Distribution, Torch
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import LoaderError, loader_errors, soname_major
from envdoctor.reading.messages.message_files import beside

# They have diagnoses of their own, or are no extensions.
OTHERS = ("torch", "torchvision", "torchaudio", "triton", "pytorch-triton", "numpy")


class Misfit(msgspec.Struct, frozen=True):
    """One extension that does not go with this torch, and how that is known."""

    name: str
    why: str
    evidence: Evidence
    mild: bool = False
    """Outside the range that it asks for, which packagers also draw out of caution."""


MESSAGES = beside(__file__)


@diagnosis(
    "extension-abi-mismatch",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=(
        "torch-duplicate-install",
        "torch-install-corrupt",
        "torch-cpu-only",
        "torch-missing",
        "toolkit-mismatch",
    ),
    messages=MESSAGES,
    remedy=lambda machine, world: extension_fixes(machine, world, []),
)
def extension_abi_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch = machine.torch
    error = next((e for e in loader_errors(machine) if _of_an_extension(e, torch)), None)
    misfits = list(_misfits(machine, torch)) if torch is not None and torch.version else []
    if error is not None:
        file = error.library.replace("\\", "/").rpartition("/")[2]
        words = (
            f"{file} asks torch for a function that it does not have"
            if error.kind == "symbol"
            else f"an extension asks for {file}"
        )
        return Finding(
            summary=f"A compiled extension was built for another torch: {words}"
            + (f" (torch {torch.version} is installed)." if torch and torch.version else "."),
            evidence=(error.said.evidence(), *(misfit.evidence for misfit in misfits)),
            fixes=extension_fixes(machine, world, [m.name for m in misfits]),
            confidence=1.0 if misfits else 0.8,
        )
    if not misfits or torch is None:
        return None
    return Finding(
        summary=f"{plain_list([f'{m.name} {m.why}' for m in misfits], 3)}; torch {torch.version}"
        + (f" (CUDA {torch.cuda})" if torch.cuda else "")
        + " is installed.",
        evidence=(*(m.evidence for m in misfits), fact("torch.version", torch.version)),
        severity=Severity.WARNING if all(m.mild for m in misfits) else None,
        fixes=extension_fixes(machine, world, [m.name for m in misfits]),
        confidence=0.5 if all(m.mild for m in misfits) else 0.8,
    )


def _misfits(machine: Snapshot, torch: Torch) -> Iterator[Misfit]:
    """Each extension once, by the surest of what is known of it."""
    seen = set(OTHERS)
    for misfit in (*_by_names(machine, torch), *_by_pins(machine, torch), *_by_own_words(machine, torch)):
        if misfit.name not in seen:
            seen.add(misfit.name)
            yield misfit


def _by_pins(machine: Snapshot, torch: Torch) -> Iterator[Misfit]:
    interpreter, ours = machine.interpreter, release_of(torch)
    for pin, requirement in pins(interpreter, "torch"):
        own = interpreter.distribution(pin.distribution) if interpreter else None
        if pin.installed is None or not _published(own):
            continue
        evidence = fact("interpreter.broken_pins", f"{pin.distribution}: {pin.requirement}")
        exact = next((s.version for s in requirement.specifier if s.operator == "==" and "*" not in s.version), None)
        if exact is not None:
            if release_of(Torch(version=exact)) != ours:
                yield Misfit(pin.distribution, f"was built for torch {exact}", evidence)
        elif not any(mark in (torch.version or "") for mark in ("a0", "dev", "git")):
            yield Misfit(pin.distribution, f"asks for torch {requirement.specifier}", evidence, mild=True)


def _by_own_words(machine: Snapshot, torch: Torch) -> Iterator[Misfit]:
    ours = release_of(torch)
    for build in (machine.interpreter.extension_builds or ()) if machine.interpreter else ():
        theirs = release_of(Torch(version=build.torch)) if build.torch else None
        cuda = major_of(build.cuda)  # a build without CUDA is a choice that some make
        name = f"{build.distribution}: "
        if theirs is not None and ours is not None and theirs != ours:
            evidence = fact("interpreter.extension_builds", f"{name}torch {build.torch}")
            yield Misfit(build.distribution, f"was built for torch {build.torch}", evidence)
        elif torch.build == "cuda" and cuda is not None and major_of(torch.cuda) not in (None, cuda):
            evidence = fact("interpreter.extension_builds", f"{name}CUDA {build.cuda}")
            yield Misfit(build.distribution, f"was built with CUDA {build.cuda}", evidence)


def _by_names(machine: Snapshot, torch: Torch) -> Iterator[Misfit]:
    for distribution in (machine.interpreter.distributions or ()) if machine.interpreter else ():
        misfit = _by_name(distribution, torch)
        if misfit is not None:
            yield misfit


def _by_name(distribution: Distribution, torch: Torch) -> Misfit | None:
    """By what the publisher wrote into the version, of packages that need torch or name it there."""
    said = distribution_built_for(distribution)
    needs_torch = any(
        line.partition(";")[0].split("[")[0].strip().lower().startswith("torch") for line in distribution.requires
    )
    ours = release_of(torch)
    evidence = fact(f"interpreter.distributions.{distribution.name}", distribution.version)
    if said.torch is not None and ours is not None and said.torch != ours:
        return Misfit(distribution.name, f"was built for torch {said.torch[0]}.{said.torch[1]}", evidence)
    if said.torch is None and not needs_torch:
        return None
    if said.cuda and torch.build == "cuda" and major_of(torch.cuda) not in (None, said.cuda):
        return Misfit(distribution.name, f"was built for CUDA {said.cuda}", evidence)
    if said.cuda and said.torch is not None and torch.build == "cpu":
        return Misfit(distribution.name, "was built for a torch with CUDA", evidence)
    if said.cuda == 0 and said.torch is not None and torch.build == "cuda":
        return Misfit(distribution.name, "was built without CUDA", evidence)
    if said.cxx11_abi is not None and torch.cxx11_abi is not None and said.cxx11_abi != torch.cxx11_abi:
        return Misfit(distribution.name, f"was built {'with' if said.cxx11_abi else 'without'} the C++11 ABI", evidence)
    return None


def _published(distribution: Distribution | None) -> bool:
    """A compiled wheel as published. One that was compiled here, from sources, was built against what was here then."""
    if distribution is None or distribution.editable or compiled(distribution) is not True:
        return False
    return distribution.origin is not None or not (distribution.tag or "").endswith("-linux_x86_64")


def _of_an_extension(error: LoaderError, torch: Torch | None) -> bool:
    if error.of_torch and error.kind != "missing":
        return False
    if any(name in error.library for name in ("torchvision", "torchaudio")):
        return False
    if error.kind == "symbol":
        return error.torch_symbol and not error.of_torch
    if error.kind != "missing" or error.said.fact == "torch.run.error":
        return False
    if error.of_torch:
        return True  # libtorch_cuda_cu.so, libc10_cuda.so: of another torch, or of a build with CUDA
    # The runtime of another CUDA than torch's; of the same it only was asked for before torch had loaded it.
    wanted, ours = soname_major(error.library), major_of(torch.cuda if torch else None)
    return error.stem == "libcudart" and wanted is not None and wanted != ours
