"""A compiled extension has no code for this GPU, while torch has.

What it is
    A CUDA extension is compiled for a list of GPU architectures, by default those of the machine that built it. On another GPU:
    'no kernel image is available for execution on the device', although torch itself computes there.

Told apart by
    The architectures that the extension names against the visible GPUs; or that error, where torch is known to have code for
    every GPU. When torch lacks the code it is `gpu-arch-too-new-for-torch` or `-too-old-`.

Repair
    Compile the extension for the GPUs that are here (TORCH_CUDA_ARCH_LIST), or take a build that has them.

Sources
    torch/utils/cpp_extension.py, `_get_cuda_arch_flags`
"""

from __future__ import annotations

from envdoctor.diagnosis.architecture import CodeSource, device_code, has_code
from envdoctor.diagnosis.model import Finding, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.extension import compile_for_gpus
from envdoctor.diagnosis.snapshot_queries import plain_list
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.planning.machine_gpus import MachineGpu, visible_gpus
from envdoctor.reading.messages.loader_errors import first_saying
from envdoctor.reading.messages.message import Message
from envdoctor.reading.messages.shared import no_kernel
from envdoctor.reading.messages.tracebacks import raised_by_addon

NO_IMAGE = ("no kernel image is available", "invalid device function", "CUDA_ERROR_NO_BINARY_FOR_GPU")


MESSAGES = (
    *no_kernel(0.4),
    Message(
        "no kernel image is available for execution on the device",
        "cuda_runtime_api.h: 209 from an add-on's file",
        0.85,
        when=raised_by_addon,
    ),
    Message("no kernel image is available for execution on the device", "cuda_runtime_api.h: 209", 0.4),
    Message(
        "CUDA error ({file}): no kernel image is available for execution on the device",
        "flash-attn, xformers, gpu checks in .cu files",
        0.95,
        when=raised_by_addon,
    ),
    Message("invalid device function", "cuda_runtime_api.h: cudaErrorInvalidDeviceFunction (98)", 0.55),
    Message("FlashAttention only supports Ampere GPUs or newer", "flash-attn, csrc/flash_attn/flash_api.cpp"),
    Message("FlashAttention only supports {gpus} GPUs or newer", "flash-attn, csrc"),
    Message("FlashAttention only supports", "flash-attn, csrc", 0.9),
    Message("FlashAttention backward for head dim > 192 requires A100/A800 or H100/H800", "flash-attn", 0.9),
    Message("Expected is_sm90 || is_sm8x || is_sm75 to be true", "flash-attn 1, csrc/flash_attn/fmha_api.cpp", 0.95),
    Message("Expected is_sm{arch} to be true, but got false", "flash-attn, csrc", 0.8),
    Message("Expected is_sm80 || is_sm90 to be true, but got false", "flash-attn 1: backward", 0.8),
    Message(
        "requires device with capability > ({capability}) but your GPU has capability",
        "xformers/ops/fmha: reasons",
        0.85,
    ),
    Message(
        "No operator found for `memory_efficient_attention_forward` with inputs", "xformers/ops/fmha/dispatch.py", 0.6
    ),
    Message("Error named symbol not found at line {line} in file {file}/csrc/ops.cu", "bitsandbytes", 0.85),
    Message(
        "Error no kernel image is available for execution on the device at line {line} in file {file}",
        "bitsandbytes, csrc",
    ),
    Message("named symbol not found", "cuda_runtime_api.h: cudaErrorSymbolNotFound (500)", 0.5),
    Message("Only GPU's with compute capability 7.0+ are supported", "triton and AWQ kernels", 0.4),
    Message("Your GPU has compute capability {capability}. You need", "AWQ, marlin, vLLM quantization", 0.5),
    Message("Minimum capability: {need}. Current capability: {have}", "vLLM, quantization", 0.7),
    Message("is not supported for the current GPU. Minimum capability", "vLLM, quantization", 0.7),
    Message(
        "Arch conditional MMA instruction used without targeting",
        "CUTLASS, include/cute/arch: built without the arch-specific code (sm_90a, sm_120a)",
        0.9,
    ),
    Message("No supported CUDA architectures found for major versions", "flashinfer/compilation_context.py", 0.9),
    Message(
        "No compiled {kernel} for a compute capability less than CUDA device capability",
        "vLLM, csrc/quantization: scaled_mm_entry.cu",
        0.95,
    ),
    Message("Assertion error ({file}): Unsupported architecture", "DeepGEMM, csrc: host dispatch", 0.95),
    Message("FlashInfer requires GPUs with sm75 or higher", "flashinfer/utils.py", 0.95),
)


def fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """Whether torch itself has code for the GPUs, so that the missing code must be an add-on's."""
    code = device_code(machine, world)
    return None if code is None or code.source is CodeSource.TOOLKIT else not (code.too_new or code.too_old)


@diagnosis(
    "extension-arch-missing",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch", "toolkit-mismatch"),
    messages=MESSAGES,
    remedy=lambda machine, _: (compile_for_gpus(machine, None, ()),),
    fits=fits,
)
def extension_arch_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    gpus = [gpu for gpu in visible_gpus(machine, world) or () if gpu.capability]
    said = first_saying(machine, *NO_IMAGE)
    for build in (machine.interpreter.extension_builds or ()) if machine.interpreter else ():
        flags = build.arch_flags
        if not flags or build.cuda == "":
            continue
        without = [g for g in gpus if g.capability and not world.runs_on(flags, g.capability, build.cuda or None)]
        if without:
            return Finding(
                summary=f"{build.distribution} was compiled for {' '.join(flags)}: it has no code for {plain_list(without)}.",
                severity=None if said or len(without) == len(gpus) else Severity.WARNING,
                evidence=(
                    fact("interpreter.extension_builds", f"{build.distribution}: {' '.join(flags)}"),
                    *(fact(f"{gpu.capability_from}.compute_capability", str(gpu)) for gpu in without),
                    *((said.evidence(),) if said else ()),
                ),
                fixes=(compile_for_gpus(machine, build.distribution, gpus),),
            )
    if said is None or not gpus or not _torch_has_code(machine, world, gpus):
        return None
    return Finding(
        summary=f"torch has code for {plain_list(gpus)}, and something else in the process has none: a compiled extension.",
        evidence=(said.evidence(), *_proof(machine)),
        fixes=(compile_for_gpus(machine, None, gpus),),
        confidence=0.8,
    )


def _torch_has_code(machine: Snapshot, world: Knowledge, gpus: list[MachineGpu]) -> bool:
    torch = machine.torch
    if torch is None or torch.build != "cuda":
        return False
    if torch.run is not None and torch.run.computation == "ok":
        return True
    # Words of torch itself about its own kernels would contradict its flags.
    flags = torch.arch_flags
    failed = torch.run is not None and torch.run.computation is not None
    if not flags or failed or not has_code(machine, world):
        return False
    return all(gpu.capability and world.runs_natively(flags, gpu.capability, torch.cuda) for gpu in gpus)


def _proof(machine: Snapshot) -> tuple[Evidence, ...]:
    torch = machine.torch
    if torch is not None and torch.run is not None and torch.run.computation == "ok":
        return (fact("torch.run.computation", "ok"),)
    return (fact("torch.arch_flags", " ".join(torch.arch_flags)),) if torch and torch.arch_flags else ()
