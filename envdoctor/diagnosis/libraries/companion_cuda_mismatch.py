"""A library beside torch is built for another CUDA than the one that is here, or for none.

What it is
    onnxruntime-gpu, ctranslate2, torchcodec, CuPy and TensorRT bring their own CUDA code and use the CUDA and cuDNN libraries
    that they find, most often those of torch's wheels. Built for CUDA 12 beside a torch with CUDA 13 (or the reverse) they find
    none, and say so ('libcublasLt.so.12: cannot open shared object file') or go to the CPU in silence: onnxruntime lists no
    CUDAExecutionProvider, also where the CPU package lies over the GPU one.

Told apart by
    The library's own words; its CUDA major, by the name of the file that it misses, is not torch's. Where both have the same, the
    file is there and not on the loader's path (`library-path-conflict`), or cuDNN is not (`cudnn-missing`).

Repair
    The library's build for this CUDA; or the CUDA libraries that it wants, from NVIDIA's wheels; never a toolkit for all.

Sources
    onnxruntime.ai, 'CUDA Execution Provider', 'Install ONNX Runtime'; OpenNMT/CTranslate2, docs/installation.md;
    meta-pytorch/torchcodec, README.md
"""

from __future__ import annotations

import re

from envdoctor.diagnosis.companions import major_of
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.extension import torchcodec_for_torch
from envdoctor.diagnosis.repairs.python_environment import install_into, run_python, uninstall_from
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import loader_errors, soname_major
from envdoctor.reading.messages.message_files import beside

# cuFFT and cuRAND count their own majors.
_NUMBERED_AS_CUDA = ("libcublas", "libcublasLt", "libcudart", "libnvrtc")
_ORT = ("onnxruntime", "onnxruntime-gpu")
_PROVIDERS = re.compile(r"[Aa]vailable[ _]providers\b[^\w]{0,8}([\w, '\"\]\[]{0,300})")


MESSAGES = beside(__file__)


@diagnosis(
    "companion-cuda-mismatch",
    layer=Layer.LIBRARIES,
    severity=Severity.ERROR,
    follows_from=("driver-missing", "driver-too-old", "container-no-gpu", "torch-cpu-only"),
    messages=MESSAGES,
    remedy=lambda machine, _: _repairs(machine),
    fits=lambda machine, _: _fits(machine),
)
def companion_cuda_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter = machine.interpreter
    both = [d for d in (interpreter.distributions or () if interpreter else ()) if d.name in _ORT]
    providers = next((line for line in machine.messages if _without_cuda(line)), None)
    if len(both) < 2 and not (providers and both):
        return None
    names = " and ".join(f"{d.name} {d.version}" for d in both)
    return Finding(
        summary=f"{names} {'are both' if len(both) > 1 else 'is'} installed: the CPU package's files hide the GPU package's, so "
        "onnxruntime has no CUDAExecutionProvider."
        if len(both) > 1
        else f"{names} has no CUDAExecutionProvider: the models run on the CPU.",
        severity=None if providers else Severity.WARNING,
        evidence=(
            *(fact(f"interpreter.{d.name}", d.version) for d in both),
            *((fact("messages", providers[:300]),) if providers else ()),
        ),
        fixes=_onnxruntime(machine),
        confidence=0.9,
    )


def _without_cuda(line: str) -> bool:
    """Whether onnxruntime lists its providers there, and CUDA is none of them."""
    listed = _PROVIDERS.search(line)
    return listed is not None and "CPUExecutionProvider" in listed[1] and "CUDAExecutionProvider" not in listed[1]


def _other_major(machine: Snapshot) -> tuple[str, int] | None:
    """The CUDA library that is missed, and its major, where torch has another."""
    ours = (major_of(machine.torch.cuda) if machine.torch else None) or _by_wheels(machine)
    for error in loader_errors(machine):
        major = soname_major(error.library)
        known = error.kind == "missing" and error.stem in _NUMBERED_AS_CUDA and major is not None
        if known and major is not None and ours not in (None, major):
            return error.library, major
    return None


def _by_wheels(machine: Snapshot) -> int | None:
    """The CUDA major of torch's libraries by the names of the wheels that hold them, where these agree: nvidia-cublas-cu12."""
    listed = (machine.interpreter.distributions or ()) if machine.interpreter else ()
    majors = {m[1] for d in listed if (m := re.fullmatch(r"nvidia-(?:cublas|cuda-runtime)-cu(\d\d)", d.name))}
    return int(majors.pop()) if len(majors) == 1 else None


def _fits(machine: Snapshot) -> bool | None:
    return True if _other_major(machine) is not None else None


def _repairs(machine: Snapshot) -> tuple[Fix, ...]:
    if any("onnxruntime" in line.lower() or "ExecutionProvider" in line for line in machine.messages):
        return _onnxruntime(machine)
    if any("libtorchcodec" in line for line in machine.messages):
        return (torchcodec_for_torch(machine),)
    return ()


def _onnxruntime(machine: Snapshot) -> tuple[Fix, ...]:
    providers = run_python(machine, "import onnxruntime; print(onnxruntime.get_available_providers())")
    return (
        Fix(
            title="Leave onnxruntime-gpu alone in this environment",
            commands=(
                uninstall_from(machine, ["onnxruntime", "onnxruntime-gpu"]),
                install_into(machine, ["onnxruntime-gpu"], title="").commands[0],
            ),
            note="Its page 'CUDA Execution Provider' says which release is built for which CUDA and cuDNN; "
            "onnxruntime.preload_dlls() lets it use the libraries of torch's wheels.",
            verify=providers,
        ),
    )
