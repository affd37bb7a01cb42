"""Versions that CUDA writes as one number. The standard library only: child processes use it too."""

from __future__ import annotations


def cuda_version(number: int) -> str:
    """'12.8' of 12080, as CUDA_VERSION, cudaDriverGetVersion() and CUDART_VERSION count (cuda.h)."""
    return f"{number // 1000}.{number % 1000 // 10}"
