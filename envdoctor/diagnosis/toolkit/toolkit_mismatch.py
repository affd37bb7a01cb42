"""The CUDA toolkit that would build extensions is of another CUDA major version than torch.

What it is
    torch brings its own CUDA runtime; the toolkit (nvcc) is needed only to compile extensions. Then both must be of one CUDA
    major version: torch's extension builder refuses anything else with 'The detected CUDA version mismatches the version that
    was used to compile PyTorch'. An extension that was built past this check fails later, in CUDA.

Told apart by
    The nvcc that the builder takes (CUDA_HOME, CUDA_PATH, else PATH) against torch's own CUDA version, and a sign that somebody
    builds here: a failed build, an extension compiled on this machine, CUDA_HOME or TORCH_CUDA_ARCH_LIST set. Without such a
    sign another toolkit on the machine hurts nobody. Another minor version ('12.4' and '12.8') is accepted.

Repair
    Point CUDA_HOME at a toolkit of torch's major version, install that one beside the other, or take a torch of the
    toolkit's version.

Sources
    torch/utils/cpp_extension.py, `_check_cuda_version`, `_find_cuda_home`
"""

from __future__ import annotations

from envdoctor.diagnosis.building import SAME_VERSION, builders_nvcc, building, toolkit_fixes
from envdoctor.diagnosis.companions import major_of
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import Said, first_saying
from envdoctor.reading.messages.message import Message

MESSAGES = (
    Message(
        "The detected CUDA version ({nvcc}) mismatches the version that was used to compile PyTorch "
        "({torch}). Please make sure to use the same CUDA versions",
        "torch/utils/cpp_extension.py: CUDA_MISMATCH_MESSAGE",
    ),
    Message("mismatches the version that was used to compile PyTorch", "torch/utils/cpp_extension.py"),
    Message("Please make sure to use the same CUDA versions", "torch/utils/cpp_extension.py", 0.95),
    Message(
        "The detected CUDA version ({nvcc}) has a minor version mismatch with "
        "the version that was used to compile PyTorch ({torch})",
        "torch/utils/cpp_extension.py: CUDA_MISMATCH_WARN",
        0.8,
    ),
    Message(
        "Cuda extensions are being compiled with a version of Cuda that does not "
        "match the version used to compile Pytorch binaries",
        "apex, setup.py",
    ),
    Message("nvcc fatal : Unsupported gpu architecture 'compute_{arch}'", "nvcc", 0.85),
    Message("nvcc fatal   : Unsupported gpu architecture", "nvcc", 0.85),
    Message("Unsupported gpu architecture 'compute_{arch}'", "nvcc", 0.8),
    Message("FlashAttention is only supported on CUDA {version} and above", "flash-attn, setup.py", 0.9),
    Message(
        "Installed CUDA version {nvcc} does not match the version torch was compiled with {torch}",
        "deepspeed, op_builder/builder.py",
    ),
    Message("DeepSpeed Op Builder: Installed CUDA version", "deepspeed"),
    Message("CUDAMismatchException", "deepspeed, op_builder"),
    Message("requires CUDA {version} or higher, but nvcc", "vLLM and others, setup.py", 0.8),
    Message('error: identifier "__nv_bfloat16" is undefined', "nvcc: a toolkit before 11", 0.6),
    Message("cuda_bf16.h: No such file or directory", "gcc: a toolkit before 11", 0.75),
    Message(
        "PyTorch: CUDA cannot be found. Depending on whether you are building PyTorch from source",
        "torch, cmake/public/cuda.cmake",
        0.4,
    ),
    Message(
        "FindCUDA says CUDA version is {a} (usually determined by nvcc), but the CUDA headers say the version is {b}",
        "torch, cmake/public/cuda.cmake",
        0.7,
    ),
    Message("Caffe2: CUDA cannot be found", "torch, cmake/public/cuda.cmake", 0.4),
    Message("Found gcc >=5 and CUDA <= 7.5, adding workaround C++ flags", "torch, cmake of 2017", 0.3),
    Message(
        "DeepSpeed Op Builder: Installed CUDA version {nvcc} does not match the version torch was compiled with",
        "deepspeed, op_builder",
    ),
    Message(
        "mismatches the version that was used to compilePyTorch",
        "torch/utils/cpp_extension.py: the message's parts as a tuple",
    ),
    Message('error: identifier "__half" is undefined', "nvcc", 0.3),
    Message("nvcc fatal : Value 'sm_{arch}' is not defined for option 'gpu-architecture'", "nvcc", 0.9),
    Message("nvcc fatal : Value 'compute_{arch}' is not defined for option 'gpu-architecture'", "nvcc", 0.9),
    Message("is not defined for option 'gpu-architecture'", "nvcc", 0.85),
    Message(
        "nvcc fatal : Unknown option '-generate-dependencies-with-compile'", "nvcc before 10.2 with a newer torch", 0.95
    ),
    Message(
        "nvcc fatal : Value 'c++17' is not defined for option 'std'", "nvcc before 11 with torch 2.1 and later", 0.95
    ),
    Message("nvcc fatal : Value 'c++20' is not defined for option 'std'", "nvcc before 12 with a newer torch", 0.95),
    Message("is not defined for option 'std'", "nvcc too old for this torch's C++", 0.85),
    Message("CUDA versions mismatch", "extensions' setup.py", 0.7),
    Message("nvcc version is {version}, but", "extensions' setup.py", 0.5),
)


@diagnosis(
    "toolkit-mismatch",
    layer=Layer.TOOLKIT,
    severity=Severity.WARNING,
    follows_from=("toolkit-multiple",),
    messages=MESSAGES,
    remedy=lambda machine, _: toolkit_fixes(machine) or (SAME_VERSION,),
)
def toolkit_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch = machine.torch
    refused = _refusal(machine)
    nvcc = builders_nvcc(machine)
    cuda = torch.cuda if torch and torch.build in (None, "cuda") else None
    if refused is not None:
        return Finding(
            summary="The build of an extension was refused: the CUDA toolkit and torch are of different CUDA versions"
            + (f" ({nvcc.version} and {cuda})." if nvcc and nvcc.version and cuda else "."),
            evidence=(refused.evidence(), *((fact("torch.cuda", cuda),) if cuda else ())),
            fixes=toolkit_fixes(machine),
        )
    reason = building(machine)
    ours, theirs = major_of(cuda), major_of(nvcc.version if nvcc else None)
    if ours is None or theirs is None or ours == theirs or reason is None or nvcc is None or torch is None:
        return None
    builds = (machine.interpreter.extension_builds or ()) if machine.interpreter else ()
    return Finding(
        # An extension that came out of this toolkit is already unfit for this torch: then it is no mere warning.
        severity=Severity.ERROR if any(major_of(build.cuda) == theirs for build in builds) else None,
        summary=f"Extensions would be built with CUDA {nvcc.version} ({nvcc.path}), and torch {torch.version} is of CUDA {cuda}: "
        "torch's extension builder refuses that. Running torch itself is not affected.",
        evidence=(fact("toolkit.nvcc", f"{nvcc.path} {nvcc.version}"), fact("torch.cuda", cuda), reason),
        fixes=toolkit_fixes(machine),
        confidence=0.8,
    )


def _refusal(machine: Snapshot) -> Said | None:
    """The builder's refusal. Of its two messages only the one on another major version ends the build."""
    said = first_saying(machine, "The detected CUDA version")
    return None if said is None or "minor version mismatch" in said.text else said
