"""Probe: the environment variables that steer CUDA, Python, the loader and the package installers."""

from __future__ import annotations

import re

from envdoctor.facts.host import Machine

# A variable that is not taken is known to be unset to a reader of the Snapshot, so the list is generous; what no diagnosis
# could use stays out, since a snapshot is for sharing.
_WANTED = re.compile(
    r"(?:CUDA|CUDNN|CUBLAS|CUBLASLT|CUFFT|CUTLASS|NVIDIA|NCCL|NVTE|NVCC|NVSHMEM|NVRTC|GPU|TORCH|TORCHINDUCTOR|TORCHDYNAMO"
    r"|PYTORCH|TRITON|OMP|GOMP|KMP|MKL|OPENBLAS|BLIS|XLA|HIP|ROCM|ROCR|HSA|SYCL|ONEAPI|ZE|SLURM|WSL|PIP|UV"
    r"|CONDA|MAMBA|APPTAINER|SINGULARITY|KUBERNETES|UCX|FI|GLOO)_[A-Z0-9_]+"
    r"|LD_(?:LIBRARY_PATH|PRELOAD|AUDIT|BIND_NOW|DEBUG)|DYLD_(?:LIBRARY_PATH|INSERT_LIBRARIES)|PATH|LIBRARY_PATH|CPATH"
    r"|C_INCLUDE_PATH|CPLUS_INCLUDE_PATH|PYTHON(?:PATH|HOME|NOUSERSITE|USERBASE|STARTUP|SAFEPATH|WARNINGS|MALLOC)"
    r"|VIRTUAL_ENV|CC|CXX|CUDAHOSTCXX|CUDACXX|CFLAGS|CXXFLAGS|LDFLAGS|MAX_JOBS|MALLOC_ARENA_MAX|GLIBC_TUNABLES"
    r"|MASTER_(?:ADDR|PORT)|RANK|LOCAL_RANK|WORLD_SIZE|NVIDIA_TF32_OVERRIDE|ALLOW_TF32|HF_HOME|XDG_CACHE_HOME|TMPDIR"
    r"|LANG|LC_ALL|PATHEXT|PROCESSOR_ARCHITECTURE|WSLENV"
)
# Names inside the wanted families that hold secrets or nothing but noise.
_REFUSED = re.compile(
    r".*(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|PRIVATE|AUTH)(?:_.*)?|KUBERNETES_PORT.*|SLURM_JOB_ACCOUNT"
    r"|CONDA_PROMPT_MODIFIER"
)
# https://user:password@host/: the installers' index variables carry such URLs.
_CREDENTIALS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@]+@", re.IGNORECASE)
_LIMIT = 32_768  # Windows' own limit for one variable; a longer one is none that a person set


def probe(machine: Machine) -> dict[str, str]:
    """The wanted variables, sorted by name. Passwords in URLs are left out even of a snapshot that is not redacted."""
    return {
        name: _CREDENTIALS.sub(r"\1<credentials>@", value[:_LIMIT])
        for name, value in sorted(machine.environment.items())
        if _WANTED.fullmatch(name) and not _REFUSED.fullmatch(name)
    }
