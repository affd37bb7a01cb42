"""Which commands compile CUDA code."""

from __future__ import annotations

import re

from envdoctor.linting import shell

# Each of these compiles CUDA code when it is installed; nobody publishes wheels of them on PyPI. Source: their setup.py.
_COMPILED = frozenset(("flash-attn", "flash_attn", "apex", "mamba-ssm", "causal-conv1d", "tinycudann", "nvidia-apex"))


def compiles(name: str, rest: list[str]) -> list[str]:
    """The words of a command that need nvcc: itself, or a package that compiles CUDA code when it is installed."""
    if name == "nvcc" and not any(word in ("--version", "-V", "--help") for word in rest):
        return ["nvcc"]
    found = shell.pip_arguments([name, *rest])
    if found is None or any("FLASH_ATTENTION_SKIP_CUDA_BUILD" in word for word in rest):
        return []
    words = shell.pip_call(found[1])["words"]
    named = [word for word in words if re.split(r"[=<>~!\[@]", word)[0].strip().lower() in _COMPILED]
    named += [w for w in words if re.search(r"github\.com/(?:NVlabs/tiny-cuda-nn|Dao-AILab/flash-attention)", w)]
    named += [w for w in words if "--cuda_ext" in " ".join(rest) and (w in (".", "./") or "NVIDIA/apex" in w)]
    return [word for word in named if ".whl" not in word]
