"""The libraries layer: which of several copies the loader takes, and whether it is the one that torch was built with."""

from __future__ import annotations

from collections.abc import Callable

from tests.machines.healthy import conda
from tests.machines.parts import LIBRARIES, Change, driver, gpu, torch, ubuntu
from tests.machines.simulation import Case, stand_in
from tests.sysroot import Sysroot
from tests.targets import Target

CARD = gpu()
VOLTA = gpu("Tesla V100-SXM2-16GB")
TURING = gpu("Tesla T4")
PINS = (
    "nvidia-cudnn-cu13==9.26.0.51",
    "nvidia-nccl-cu13==2.30.7",
    "nvidia-cublas==13.4.1.2",
    "nvidia-nvjitlink==13.2.86",
)
WHEELS = (
    ("nvidia-cudnn-cu13", "9.26.0.51"),
    ("nvidia-nccl-cu13", "2.30.7"),
    ("nvidia-cublas", "13.4.1.2"),
    ("nvidia-nvjitlink", "13.2.86"),
)
HERE = {"LD_LIBRARY_PATH": "{root}/opt/inference/lib"}
INCOMPATIBLE = (
    "raise cuDNN version incompatibility: PyTorch was compiled  against (9, 26, 0) but found runtime version (9, 1, 0). "
    "PyTorch already comes bundled with cuDNN. One option to resolving this error is to ensure PyTorch can find the bundled "
    "cuDNN. One possibility is that there is a conflicting cuDNN in LD_LIBRARY_PATH."
)


def foreign(*names: str) -> Change:
    """Libraries of an inference program in /opt, which can be loaded."""

    def change(s: Sysroot) -> None:
        stand_in(s.path("/opt/inference/lib"), *names)

    return change


def own(*names: str) -> Callable[[Target], object]:
    """Libraries in the environment's site-packages, which can be loaded."""
    return lambda target: stand_in(target, *names)


def system_cudnn(s: Sysroot) -> None:
    s.library(f"{LIBRARIES}/libcudnn.so.9.26.0", "libcudnn.so.9")
    names = ("libcuda.so.1", "libnvidia-ml.so.1", "libcudnn.so.9")
    s.cache([(name, f"{LIBRARIES}/{name}") for name in names])


WORKS = torch("2.15.0+cu132", CARD, requires=PINS)

CASES = [
    # --- cudnn-shadowed ------------------------------------------------------------------------------------------------
    Case(
        "an older cuDNN in LD_LIBRARY_PATH",
        ubuntu(CARD, change=foreign("libcudnn.so.9")),
        "cudnn-shadowed",
        driver=driver(CARD),
        torch={**WORKS, "loads": ["libcudnn.so.9"], "cudnn": INCOMPATIBLE, "conv2d": INCOMPATIBLE},
        packages=WHEELS,
        environment=HERE,
        near=("nvidia-wheels-mismatch", "library-path-conflict", "cudnn-missing"),
    ),
    Case(
        "a newer cuDNN in LD_LIBRARY_PATH, which fits",
        ubuntu(CARD, change=foreign("libcudnn.so.9")),
        driver=driver(CARD),
        torch={**WORKS, "loads": ["libcudnn.so.9"], "cudnn_version": 92800},
        packages=WHEELS,
        environment=HERE,
        near=("cudnn-shadowed", "cudnn-version-mismatch"),
    ),
    # --- cudnn-missing -------------------------------------------------------------------------------------------------
    Case(
        "a cuDNN wheel that was taken away",
        ubuntu(CARD),
        "cudnn-missing",
        driver=driver(CARD),
        torch=torch(
            importing="raise libcudnn.so.9: cannot open shared object file: No such file or directory", requires=PINS
        ),
        packages=WHEELS[1:],
        near=("cudnn-shadowed", "torch-install-corrupt", "nvidia-wheels-mismatch"),
    ),
    Case(
        "cuDNN from the system in place of a wheel",
        ubuntu(CARD, change=system_cudnn),
        driver=driver(CARD),
        torch=WORKS,
        packages=WHEELS[1:],
        near=("cudnn-missing", "nvidia-wheels-mismatch"),
    ),
    # --- cudnn-version-mismatch ----------------------------------------------------------------------------------------
    Case(
        "a cuDNN that has dropped Volta",
        ubuntu(VOLTA, is_open=False),
        "cudnn-version-mismatch",
        driver=driver(VOLTA),
        torch=torch(
            "2.14.1+cu126",
            VOLTA,
            requires=("nvidia-cudnn-cu12==9.10.2.21",),
            cudnn_version=92600,
            conv2d="raise cuDNN error: CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH",
        ),
        packages=(("nvidia-cudnn-cu12", "9.26.0.51"),),
        near=("gpu-arch-too-old-for-torch", "nvidia-wheels-mismatch"),
    ),
    Case(
        "the same cuDNN on Turing",
        ubuntu(TURING),
        driver=driver(TURING),
        torch=torch("2.14.1+cu126", TURING, requires=("nvidia-cudnn-cu12==9.10.2.21",), cudnn_version=92600),
        packages=(("nvidia-cudnn-cu12", "9.26.0.51"),),
        near=("cudnn-version-mismatch", "nvidia-wheels-mismatch"),
    ),
    # --- nvidia-wheels-mismatch ----------------------------------------------------------------------------------------
    Case(
        "an NCCL wheel that another package put back",
        ubuntu(CARD),
        "nvidia-wheels-mismatch",
        driver=driver(CARD),
        torch=torch(
            importing="raise /env/site-packages/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommWindowRegister",
            requires=PINS,
        ),
        packages=(WHEELS[0], ("nvidia-nccl-cu13", "2.20.5"), *WHEELS[2:]),
        near=("library-path-conflict", "torch-install-corrupt", "extension-abi-mismatch"),
    ),
    Case(
        "wheels for CUDA 11 left beside those for 13",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=WORKS,
        packages=(
            *WHEELS,
            ("nvidia-cudnn-cu11", "8.7.0.84"),
            ("nvidia-cublas-cu11", "11.11.3.6"),
            ("nvidia-nccl-cu11", "2.20.5"),
        ),
        near=("nvidia-wheels-mismatch", "cudnn-version-mismatch"),
    ),
    Case(
        "a newer cuBLAS of the same CUDA",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=WORKS,
        packages=(*WHEELS[:2], ("nvidia-cublas", "13.5.0.9"), WHEELS[3]),
        near=("nvidia-wheels-mismatch",),
    ),
    # --- library-path-conflict -----------------------------------------------------------------------------------------
    Case(
        "an older nvJitLink in LD_LIBRARY_PATH",
        ubuntu(CARD, change=foreign("libnvJitLink.so.13")),
        "library-path-conflict",
        driver=driver(CARD),
        torch=torch(
            importing="raise /env/site-packages/torch/lib/../../nvidia/cu13/lib/libcusparse.so.12: undefined symbol: "
            "__nvJitLinkComplete_13_2, version libnvJitLink.so.13",
            requires=PINS,
        ),
        packages=WHEELS,
        environment=HERE,
        near=("nvidia-wheels-mismatch", "torch-install-corrupt", "extension-abi-mismatch", "cudnn-shadowed"),
    ),
    Case(
        "another cuBLAS in LD_LIBRARY_PATH, with which torch works",
        ubuntu(CARD, change=foreign("libcublas.so.13")),
        driver=driver(CARD),
        torch={**WORKS, "loads": ["libcublas.so.13"]},
        packages=WHEELS,
        environment=HERE,
        near=("library-path-conflict",),
    ),
    # --- mkl-mismatch --------------------------------------------------------------------------------------------------
    Case(
        "conda's MKL after 2024.0 under an old torch",
        ubuntu(CARD),
        "mkl-mismatch",
        driver=driver(CARD),
        torch=torch(
            "2.2.2",
            cuda="12.1",
            importing="raise /opt/conda/site-packages/torch/lib/libtorch_cpu.so: undefined symbol: iJIT_NotifyEvent",
        ),
        furnish=conda("pytorch-2.2.2-py3.11_cuda12.1_cudnn8.9.2_0", "mkl-2024.1.0-h0"),
        near=("torch-install-corrupt", "nvidia-wheels-mismatch", "library-path-conflict"),
    ),
    Case(
        "conda's newest MKL under a torch that takes it",
        ubuntu(CARD),
        driver=driver(CARD),
        torch=torch("2.9.1", CARD, cuda="12.9", arch_flags="sm_80 sm_86 sm_89 sm_90"),
        furnish=conda("pytorch-2.9.1-cuda129_mkl_h1", "mkl-2025.3.0-h0"),
        near=("mkl-mismatch",),
    ),
    # --- openmp-duplicate ----------------------------------------------------------------------------------------------
    Case(
        "two copies of Intel's OpenMP runtime",
        ubuntu(CARD),
        "openmp-duplicate",
        "warning",
        driver=driver(CARD),
        torch={**torch("2.15.0+cu132", CARD), "loads": ["/torch/lib/libiomp5.so", "/sklearn/.libs/libiomp5.so"]},
        furnish=own("torch/lib/libiomp5.so", "sklearn/.libs/libiomp5.so"),
    ),
    Case(
        "GNU's OpenMP runtime beside Intel's",
        ubuntu(CARD),
        driver=driver(CARD),
        torch={**torch("2.15.0+cu132", CARD), "loads": ["/torch/lib/libgomp.so.1", "/mkl/libiomp5.so"]},
        furnish=own("torch/lib/libgomp.so.1", "mkl/libiomp5.so"),
        near=("openmp-duplicate",),
    ),
]
