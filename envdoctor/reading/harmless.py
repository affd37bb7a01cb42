"""Warnings that are known to be harmless: they sound like a cause, and nothing is wrong where they are all there is."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable

import msgspec

from envdoctor.reading.messages.normalised_text import cleaned

LONGEST = 600


class Harmless(enum.Enum):
    """Why a warning is harmless."""

    CAPABILITY = "capability"
    """torch compares a GPU's compute capability with the newest that it names; code for the same major version runs on it."""
    REGISTERED_TWICE = "registered-twice"
    """TensorFlow's libraries register cuDNN, cuBLAS and cuFFT once more than needed."""
    IPV6 = "ipv6"
    """torch.distributed tries IPv6 first, and goes on with IPv4."""
    NCCL_PLUGIN = "nccl-plugin"
    """NCCL looks for a network or tuner plug-in that only some clouds have."""
    CUDNN_PLAN = "cudnn-plan"
    """cuDNN's heuristics proposed a plan that cannot run; torch takes the next."""
    OPTIONAL_TENSORRT = "optional-tensorrt"
    """TensorFlow does without TensorRT."""
    RDMA_DRIVER = "rdma-driver"
    """libibverbs names drivers of network cards that this machine does not have."""
    NUMA_NODE = "numa-node"
    """The kernel knows no NUMA node of the GPU; TensorFlow takes node 0."""


# Wordings of torch/cuda/__init__.py; tensorflow's cuda_dnn.cc, gpu_device.cc and py_utils.cc; torch's socket.cpp; NCCL's
# plugin loaders; ATen's Conv_v8.cpp; rdma-core's init.c.
_WORDS = {
    Harmless.CAPABILITY: r"Found GPU ?\d+ .{1,80} which is of (?:cuda|compute) capability",
    Harmless.REGISTERED_TWICE: r"Unable to register cu(?:DNN|BLAS|FFT) factory: Attempting to register",
    Harmless.IPV6: r"socket.{0,200}errno: 97\b",
    Harmless.NCCL_PLUGIN: r"NET/Plugin.{0,80}(?:No plugin found|Could not find:? )|libnccl-(?:net|tuner)\S*\.so: cannot open",
    Harmless.CUDNN_PLAN: r"Plan failed with an? (?:cudnnException|CuDNNError|OutOfMemoryError)",
    Harmless.OPTIONAL_TENSORRT: r"TF-TRT Warning: (?:Could|Cannot) (?:not )?(?:find|dlopen)",
    Harmless.RDMA_DRIVER: r"libibverbs: Warning: couldn't load driver",
    Harmless.NUMA_NODE: r"successful NUMA node read from SysFS had negative value",
}


class HarmlessWarning(msgspec.Struct, frozen=True):
    """One such line of a text. `line`: its number, counted from 1."""

    line: int
    text: str
    why: Harmless


def harmless_in(lines: Iterable[str]) -> tuple[HarmlessWarning, ...]:
    """The first of each kind. A text that names a capability may mean it: whether torch has code for that GPU is for
    the judge to say."""
    pattern = re.compile("|".join(f"(?P<{why.name}>{words})" for why, words in _WORDS.items()), re.IGNORECASE)
    found: dict[Harmless, HarmlessWarning] = {}
    for number, raw in enumerate(lines, 1):
        said = pattern.search(raw[:LONGEST])
        if said is not None and said.lastgroup is not None:
            why = Harmless[said.lastgroup]
            text = " ".join(cleaned(raw[:LONGEST]).split())
            found.setdefault(why, HarmlessWarning(number, text, why))
    return tuple(found.values())
