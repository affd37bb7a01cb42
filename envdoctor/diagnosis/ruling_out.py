"""Which causes a machine's facts rule out, and in which words."""

from __future__ import annotations

from envdoctor.diagnosis.symptoms import cuda_starts
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge

# With any of these CUDA does not start.
_NO_CUDA = (
    "driver-missing", "driver-not-loaded", "driver-library-mismatch", "driver-flavour-mismatch", "driver-too-old",
    "driver-too-old-for-gpu", "gpu-legacy-driver-dropped", "forward-compat-broken", "fabric-manager-down", "uvm-broken",
    "container-no-gpu", "container-gpu-detached", "device-permission", "visible-devices-hidden", "wsl-driver-problem", "gpu-lost",
)  # fmt: skip


def ruled_out(code: str, machine: Snapshot, world: Knowledge) -> str | None:
    """Why this machine cannot have that cause; None where its facts leave it open."""
    torch = machine.torch
    if code in _NO_CUDA and cuda_starts(machine):
        return "CUDA starts on this machine"
    if code == "torch-cpu-only" and torch is not None and torch.build == "cuda":
        return f"torch {torch.version} here is a CUDA build"
    return None
