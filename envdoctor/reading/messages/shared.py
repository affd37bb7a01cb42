"""Wordings that several causes share, written once: each cause gives them the weight that they have for it."""

from __future__ import annotations

from envdoctor.reading.messages.conditions import near, without
from envdoctor.reading.messages.message import Message

# A dump says of every machine without a GPU that CUDA is not available; by itself that is no complaint.
outside_a_dump = without(
    near(
        "is debug build",
        "is cuda available",
        "cuda runtime version",
        "cuda used to build",
        "sys.platform",
        "xnnpack",
        "pytorch version (",
        "transformers version",
        "pytorch.cuda",
    )
)


def answered_no(weight: float) -> tuple[Message, ...]:
    """The answer of a script that asked torch. Programs that start print it on every machine without a GPU, so it is a hint."""
    return tuple(
        Message(text, "a script that asks torch, as people paste it", weight, when=outside_a_dump)
        for text in ("CUDA available: False", "cuda available = False", "cuda.is_available(): False")
    )


def unavailable(weight: float) -> tuple[Message, ...]:
    """The question that a person asks: 'torch.cuda.is_available() returns False'. It names no cause; facts choose."""
    return tuple(
        Message(text, "torch/cuda/__init__.py: is_available, as people report it", weight)
        for text in (
            "cuda.is_available() returns False",
            "cuda.is_available() return False",
            "cuda.is_available() returned False",
            "cuda.is_available() always returns False",
            "cuda.is_available() is always False",
            "cuda.is_available() is False",
            "cuda.is_available() gives False",
            "cuda.is_available() -> False",
            "cuda.is_available() says False",
            "cuda.is_available() == False",
            "cuda.is_available()` returns `False",
            "cuda.is_available() function returns False",
            "CUDA is not available in PyTorch",
            "pytorch can't see my GPU",
            "torch does not see the GPU",
            "PyTorch doesn't detect my GPU",
        )
    )


def no_device_type(weight: float) -> tuple[Message, ...]:
    """vLLM found no platform of its own: no NVML, so no driver in this place, or a build for CPUs."""
    return (
        Message("Failed to infer device type", "vllm/config: DeviceConfig", weight),
        Message("Device string must not be empty", "vllm 0.8 and later: torch.device('')", weight - 0.1),
        Message("No platform detected, vLLM is running on UnspecifiedPlatform", "vllm/platforms/__init__.py", weight),
    )


def no_kernel(weight: float) -> tuple[Message, ...]:
    """No device code for this GPU, in the short and older forms."""
    return (
        Message("no kernel image available", "cudaErrorNoKernelImageForDevice, as people quote it", weight),
        Message("no kernel image found", "CUDA_ERROR_NO_BINARY_FOR_GPU, as people quote it", weight - 0.05),
    )
