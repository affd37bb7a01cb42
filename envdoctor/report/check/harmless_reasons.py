"""What is said of warnings that are known to be harmless."""

from __future__ import annotations

from envdoctor.reading.harmless import Harmless

REASONS = {
    Harmless.CAPABILITY: "torch has code that runs on this GPU; the warning compares version numbers alone.",
    Harmless.REGISTERED_TWICE: "TensorFlow registers CUDA libraries more than once; nothing is lost.",
    Harmless.IPV6: "torch.distributed tries IPv6 first and goes on with IPv4.",
    Harmless.NCCL_PLUGIN: "NCCL works without a network plug-in; only some clouds have one.",
    Harmless.CUDNN_PLAN: "cuDNN proposed a plan that cannot run here, and torch takes the next one.",
    Harmless.OPTIONAL_TENSORRT: "TensorRT is optional for TensorFlow.",
    Harmless.RDMA_DRIVER: "It names a network card that this machine does not have.",
    Harmless.NUMA_NODE: "The kernel does not know the GPU's NUMA node, and node 0 is taken.",
}
