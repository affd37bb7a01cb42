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
from envdoctor.reading.messages.conditions import (
    extension_lacks_torch,
    near,
    near_line,
    of_no_sibling,
    torch_in_torch,
    torch_library_missing,
    without,
)
from envdoctor.reading.messages.loader_errors import LoaderError, loader_errors, soname_major
from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.tracebacks import importing_torch

# They have diagnoses of their own, or are no extensions.
OTHERS = ("torch", "torchvision", "torchaudio", "triton", "pytorch-triton", "numpy")


class Misfit(msgspec.Struct, frozen=True):
    """One extension that does not go with this torch, and how that is known."""

    name: str
    why: str
    evidence: Evidence
    mild: bool = False
    """Outside the range that it asks for, which packagers also draw out of caution."""


MESSAGES = (
    Message("{library}: undefined symbol: {symbol}", "glibc, elf/dl-lookup.c", 0.95, when=extension_lacks_torch),
    Message(
        "{library}: cannot open shared object file",
        "glibc: an extension asks for another torch's library",
        0.55,
        when=torch_library_missing,
    ),
    Message(
        "libcudart.so.{version}: cannot open shared object file",
        "glibc: an extension built with another CUDA",
        0.75,
        when=without(importing_torch),
    ),
    Message("libcublas.so.{version}: cannot open shared object file", "glibc", 0.45),
    Message("undefined symbol: _ZN3c10", "glibc: c10's C++ interface", 0.7, when=without(torch_in_torch)),
    Message("undefined symbol: _ZN2at", "glibc: ATen's C++ interface", 0.7, when=without(torch_in_torch)),
    Message("xFormers can't load C++/CUDA extensions. xFormers was built for: PyTorch", "xformers/_cpp_lib.py"),
    Message("xFormers was built for", "xformers/_cpp_lib.py"),
    Message("WARNING[XFORMERS]: xFormers can't load C++/CUDA extensions", "xformers/_cpp_lib.py"),
    Message("MMCV=={version} is used but incompatible", "mmdet, mmseg: __init__.py", 0.7),
    Message("No module named 'mmcv._ext'", "CPython: mmcv-lite or a wrong wheel", 0.85),
    Message("MMCVModuleNotFound", "mmcv", 0.5),
    Message("ModuleNotFoundError: No module named 'flash_attn_2_cuda'", "CPython", 0.85),
    Message("No module named 'flash_attn_{version}_cuda'", "CPython", 0.85),
    Message("No module named 'fused_layer_norm_cuda'", "apex built without its extensions", 0.7),
    Message("No module named 'amp_C'", "apex built without its extensions", 0.7),
    Message("ImportError: DLL load failed while importing {name}_cuda", "Windows: an extension of another torch", 0.5),
    Message("CUDA Setup failed despite GPU being available", "bitsandbytes, cuda_setup", 0.7),
    Message(
        "CUDA SETUP: Required library version not found: libbitsandbytes_cuda{version}.so",
        "bitsandbytes before 0.43",
        0.85,
    ),
    Message("Could not find the bitsandbytes CUDA binary at", "bitsandbytes 0.43 and later", 0.85),
    Message("Configured CUDA binary not found at", "bitsandbytes 0.43 and later", 0.85),
    Message("libbitsandbytes_cuda{version}.so: cannot open shared object file", "bitsandbytes", 0.85),
    Message(
        "libbitsandbytes_cpu.so: undefined symbol: cquantize_blockwise", "bitsandbytes: its CPU library taken", 0.8
    ),
    Message(
        "Detected that PyTorch and torch_{name} were compiled with different CUDA versions",
        "PyG extensions, __init__.py",
    ),
    Message(
        "Detected that PyTorch and {name} were compiled with different CUDA versions",
        "PyG extensions",
        0.7,
        when=without(near("torchvision", "torchaudio")),
    ),
    Message("Could not find module '_{name}_cuda' in", "PyG extensions, __init__.py", 0.8),
    Message("CUDA SETUP: Required library version not found: libbitsandbytes_", "bitsandbytes before 0.43", 0.85),
    Message("CUDA SETUP: CUDA detection failed! Possible reasons", "bitsandbytes before 0.43", 0.6),
    Message("CUDA SETUP: Defaulting to libbitsandbytes_cpu", "bitsandbytes before 0.43", 0.7),
    Message("CUDA Setup failed despite CUDA being available", "bitsandbytes 0.43 and later", 0.75),
    Message("Could not load bitsandbytes native library", "bitsandbytes 0.43 and later", 0.75),
    Message("Library not loaded: @rpath/libtorch", "dyld: an extension of another torch", 0.8),
    Message("Library not loaded: @rpath/libc10", "dyld: an extension of another torch", 0.8),
    Message("Symbol not found: __ZN3c10", "dyld: c10's C++ interface", 0.85, when=of_no_sibling),
    Message("Symbol not found: __ZN2at", "dyld: ATen's C++ interface", 0.85, when=of_no_sibling),
    Message("Symbol not found: __ZN5torch", "dyld: torch's C++ interface", 0.85, when=of_no_sibling),
    Message("undefined symbol: _ZNK3c10", "glibc: c10's C++ interface", 0.7, when=without(torch_in_torch)),
    Message("undefined symbol: _ZNK2at", "glibc: ATen's C++ interface", 0.7, when=without(torch_in_torch)),
    Message("undefined symbol: _ZN5torch", "glibc: torch's C++ interface", 0.7, when=without(torch_in_torch)),
    Message("undefined symbol: _ZTIN3c10", "glibc: a type of c10", 0.6, when=without(torch_in_torch)),
    Message("undefined symbol: THPVariableClass", "glibc: libtorch_python was not loaded first, or is another", 0.8),
    Message(
        "undefined symbol: aoti_torch_",
        "glibc: torch's stable C interface of another release",
        0.8,
        when=without(torch_in_torch),
    ),
    Message(
        "undefined symbol: torch_", "glibc: torch's C interface of another release", 0.6, when=without(torch_in_torch)
    ),
    Message(
        "DLL load failed while importing _C: The specified procedure could not be found",
        "Windows: an extension of another torch",
        0.75,
    ),
    Message(
        "DLL load failed while importing {name}_cuda: The specified procedure could not be found",
        "Windows: an extension of another torch",
        0.8,
    ),
    Message("DLL load failed while importing flash_attn_2_cuda", "Windows", 0.9),
    Message("DLL load failed while importing _ext", "Windows: mmcv", 0.7),
    Message("mmcv-full=={version} is used but incompatible", "mmdet, mmseg", 0.7),
    Message(
        "name '_C' is not defined",
        "GroundingDINO: its extension was not built",
        0.6,
        when=near("groundingdino", "ms_deform_attn"),
    ),
    Message(
        "Failed to load custom C++ ops. Running on CPU mode Only!", "GroundingDINO: its extension was not built", 0.8
    ),
    Message("ImportError: cannot import name '_C' from 'detectron2'", "detectron2 was not built", 0.85),
    Message("cannot import name '_C' from 'pytorch3d'", "pytorch3d was not built", 0.85),
    Message("No module named 'deform_conv_cuda'", "mmdetection of old", 0.8),
    Message("torch.ops._C.{operator} does not exist", "vLLM: its extension did not load", 0.6),
    Message(
        "'_OpNamespace' '_C' object has no attribute", "vLLM: its extension did not load, or is of another release", 0.8
    ),
    Message("Failed to import from vllm._C with", "vLLM, _custom_ops.py", 0.75, when=without(near_line("libcuda.so"))),
    Message("libcudart.so.{version} => not found", "ldd on an extension", 0.7),
    Message("libtorch{name}.so => not found", "ldd on an extension: before torch is imported this is usual", 0.5),
    Message("libc10{name}.so => not found", "ldd on an extension: before torch is imported this is usual", 0.5),
    Message("Could not load libtorchcodec. Likely causes", "torchcodec/_core/ops.py: FFmpeg, or another torch", 0.6),
    Message("Could not load any common_ops library", "sgl_kernel/load_utils.py", 0.7),
    Message(
        "undefined symbol: __cudaPopCallConfiguration",
        "glibc: nvcc 9.2 and later put the call into an extension; an older libcudart lacks it",
        0.85,
    ),
    Message(
        "undefined symbol: __cudaRegisterFatBinaryEnd",
        "glibc: nvcc 10.1 and later put the call into an extension; an older libcudart lacks it",
        0.85,
    ),
    Message("libcudart.so not found in any environmental path", "bitsandbytes before 0.43, cuda_setup", 0.65),
    Message(
        "The main issue seems to be that the main CUDA runtime library was not detected",
        "bitsandbytes before 0.43, cuda_setup",
        0.75,
    ),
    Message("argument of type 'WindowsPath' is not iterable", "bitsandbytes before 0.43, without Windows support", 0.8),
)


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
