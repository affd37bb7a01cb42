"""Installs that went wrong or only look so: what an installer and a library said of versions. Pasted texts."""

from __future__ import annotations

from tests.machines.pasted import LINUX, WINDOWS
from tests.machines.simulation import Case

CASES = [
    Case(
        "pip that was not told the index of a build",
        text="Python version: 3.10.14 (64-bit runtime)\nPython platform: Linux-6.8.0-87-generic-x86_64-with-glibc2.39\n"
        "ERROR: Could not find a version that satisfies the requirement torch==2.4.1+cu118 (from versions: 2.2.2, 2.3.0, 2.3.1, "
        "2.4.0, 2.4.1, 2.5.0, 2.5.1)\nERROR: No matching distribution found for torch==2.4.1+cu118\n",
        primary="wheel-index-missing",
        near=("python-unsupported", "platform-unsupported"),
    ),
    Case(
        "a pip that says which releases there are, and finds the one asked for",
        text=LINUX
        + "\n$ python -m pip index versions torch\nAvailable versions: 2.9.1, 2.9.0, 2.8.0\n  INSTALLED: 2.9.1+cu128\n",
        near=("wheel-index-missing", "python-unsupported"),
    ),
    Case(
        "a transformers that wants a newer torch",
        text=LINUX.replace("2.9.1+cu128", "2.1.2+cu121")
        .replace("0.24.1+cu128", "0.16.2+cu121")
        .replace("12.8", "12.1")
        .replace("numpy==2.3.4", "numpy==1.26.4")
        + "\nDisabling PyTorch because PyTorch >= 2.4 is required but found 2.1.2+cu121\n",
        primary="torch-too-old-for-package",
        near=("torch-missing", "module-shadowed"),
    ),
    Case(
        "a library that names the torch it needs, and has it",
        text=LINUX + "\nlibrary 1.4 requires torch >= 2.4\n",
        near=("torch-too-old-for-package",),
    ),
    Case(
        "an onnxruntime without its GPU half",
        text=LINUX + "\n[pip3] onnxruntime==1.23.2\n[pip3] onnxruntime-gpu==1.23.2\n"
        "ValueError: Specified provider 'CUDAExecutionProvider' is not in available provider names. Available providers: "
        "'AzureExecutionProvider, CPUExecutionProvider'\n",
        primary="companion-cuda-mismatch",
        near=("cudnn-missing", "library-path-conflict"),
    ),
    Case(
        "an onnxruntime that lists its GPU half",
        text=LINUX + "\n[pip3] onnxruntime-gpu==1.23.2\n"
        "Available providers: ['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']\n",
        near=("companion-cuda-mismatch",),
    ),
    Case(
        "a Windows that is asked for expandable segments",
        text=WINDOWS + "\nUserWarning: expandable_segments not supported on this platform (Triggered internally at "
        "CUDAAllocatorConfig.h:28.)\n",
        primary="expandable-segments-unsupported",
        level="warning",
        near=("out-of-memory",),
    ),
    Case(
        "a Linux that has expandable segments",
        text=LINUX + "\nPYTORCH_CUDA_ALLOC_CONF=expandable_segments:True\n",
        near=("expandable-segments-unsupported",),
    ),
]
