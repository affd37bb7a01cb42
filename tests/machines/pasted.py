"""What no Linux file system shows: Windows, and what other people's programs printed. Pasted texts, read by `--from -`."""

from __future__ import annotations

from tests.machines.simulation import Case

COLLECTED = """Collecting environment information...
PyTorch version: {torch}
Is debug build: False
CUDA used to build PyTorch: {cuda}
ROCM used to build PyTorch: N/A

OS: {os}
GCC version: Could not collect
Clang version: Could not collect
CMake version: Could not collect
Libc version: {libc}

Python version: 3.12.10 (64-bit runtime)
Python platform: {platform}
Is CUDA available: True
CUDA runtime version: Could not collect
CUDA_MODULE_LOADING set to: LAZY
GPU models and configuration: GPU 0: {gpu}
Nvidia driver version: {driver}
cuDNN version: Could not collect

Versions of relevant libraries:
[pip3] numpy==2.3.4
[pip3] torch=={torch}
{more}
"""
WINDOWS = COLLECTED.format(
    torch="2.9.1+cu128", cuda="12.8", os="Microsoft Windows 11 Pro (10.0.26100 64-bit)", libc="N/A",
    platform="Windows-11-10.0.26100-SP0", gpu="NVIDIA GeForce RTX 4090", driver="581.57", more="[conda] Could not collect",
)  # fmt: skip
LINUX = COLLECTED.format(
    torch="2.9.1+cu128", cuda="12.8", os="Ubuntu 24.04.3 LTS (x86_64)", libc="glibc-2.39",
    platform="Linux-6.8.0-87-generic-x86_64-with-glibc2.39", gpu="NVIDIA GeForce RTX 4090", driver="580.159.04",
    more="[pip3] torchvision==0.24.1+cu128\n[conda] Could not collect",
)  # fmt: skip

DETECTRON2 = """----------------------  ----------------------------------------------------------
sys.platform            linux
Python                  3.12.3 (main, Aug 14 2025, 17:47:21) [GCC 13.3.0]
numpy                   1.26.4
detectron2              0.6 @/opt/detectron2/detectron2
Compiler                GCC 13.3
CUDA compiler           CUDA 12.8
detectron2 arch flags   {flags}
DETECTRON2_ENV_MODULE   <not set>
PyTorch                 2.9.1+cu128 @/opt/venv/site-packages/torch
PyTorch debug build     False
GPU available           Yes
GPU 0                   NVIDIA GeForce RTX 4090 (arch=8.9)
Driver version          580.159.04
CUDA_HOME               /usr/local/cuda
Pillow                  11.3.0
torchvision             0.24.1+cu128 @/opt/venv/site-packages/torchvision
torchvision arch flags  7.5, 8.0, 8.6, 9.0, 10.0, 12.0
----------------------  ----------------------------------------------------------
"""

CASES = [
    Case(
        "a Windows without the Visual C++ runtime",
        text=WINDOWS.replace("Is CUDA available: True", "Is CUDA available: N/A")
        + "\nOSError: [WinError 126] The specified module could not be found. Error loading "
        '"C:\\\\venv\\\\Lib\\\\site-packages\\\\torch\\\\lib\\\\c10.dll" or one of its dependencies.\n',
        primary="windows-dll-missing",
        near=("torch-install-corrupt", "platform-unsupported"),
    ),
    Case(
        "a Windows whose program misses a file of its own",
        text=WINDOWS + "\nFileNotFoundError: [WinError 2] The system cannot find the file specified: 'weights.pt'\n",
        near=("windows-dll-missing", "driver-too-old"),
    ),
    Case(
        "an extension without code for this GPU",
        text=DETECTRON2.format(flags="7.0, 7.5")
        + "\nRuntimeError: CUDA error: no kernel image is available for execution on the device\n",
        primary="extension-arch-missing",
        near=("gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch"),
    ),
    Case(
        "an extension with code for an older minor version of this GPU",
        text=DETECTRON2.format(flags="7.5, 8.6"),
        near=("extension-arch-missing", "extension-abi-mismatch", "torchvision-mismatch"),
    ),
    Case(
        "a dump in which everything fits",
        text=LINUX,
        near=("extension-abi-mismatch", "torchvision-mismatch", "triton-problem"),
    ),
    Case(
        "ranks that cannot reach each other",
        text=LINUX
        + "\ntorch.distributed.DistBackendError: NCCL error in: torch/csrc/distributed/c10d/NCCLUtils.hpp:268, unhandled system "
        "error, NCCL version 2.27.5\nncclSystemError: System call (e.g. socket, malloc) or external library call failed or "
        "device error.\nLast error:\nsocketStartConnect: Connect to 172.17.0.1<40233> failed : Software caused connection "
        "abort\n",
        primary="nccl-problem",
        near=("shm-too-small", "nvidia-wheels-mismatch"),
    ),
    Case(
        "a loader whose workers ran out of shared memory",
        text=LINUX
        + "\nERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).\n"
        "RuntimeError: DataLoader worker (pid 91) is killed by signal: Bus error.\n",
        primary="shm-too-small",
        near=("nccl-problem", "out-of-memory"),
    ),
    Case(
        "pip without a wheel for an old Python",
        text="Python version: 3.7.17 (64-bit runtime)\nPython platform: Linux-6.8.0-87-generic-x86_64-with-glibc2.39\n"
        "ERROR: Could not find a version that satisfies the requirement torch==2.9.1 (from versions: 1.13.0, 1.13.1)\n"
        "ERROR: No matching distribution found for torch==2.9.1\n",
        primary="python-unsupported",
        near=("platform-unsupported",),
    ),
]
