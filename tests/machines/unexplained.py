"""Failures that no known cause explains, and machines of which too little can be seen: an error, or no verdict; never green."""

from __future__ import annotations

from collections.abc import Callable

from tests.machines.fault_matrix import CODES, INTERNAL
from tests.machines.parts import driver, gpu, place, torch, ubuntu
from tests.machines.simulation import Case, stand_in
from tests.sysroot import Sysroot
from tests.targets import Target

CARD = gpu()
WORKS = torch("2.15.0+cu132", CARD)
TWO = (gpu(), gpu())
CODE = "torch-failure-unexplained"
PINS = ("nvidia-nccl-cu13==2.30.7", "nvidia-cublas==13.4.1.2")


def quoting(code: int) -> dict[str, object]:
    """A torch that words cuInit's error as it does on a real machine."""
    words = CODES[code][1]
    bare = words.removeprefix("CUDA initialization: ")
    return torch(is_available=f"warn {words}", init=f"raise {bare}")


def without_driver(index: int) -> Callable[[Sysroot], object]:
    """The driver refused to start one of the two cards, and is bound to the other alone."""
    return lambda s: s.path(f"/sys/bus/pci/devices/{place(TWO[index], index)}/driver").unlink()


def with_numpy(target: Target) -> None:
    target.write("numpy/__init__.py", "")


def with_torchvision(target: Target) -> None:
    target.write("torchvision/__init__.py", "")
    stand_in(target, "torchvision/_C.so")


CASES = [
    # --- CUDA does not start beside a GPU ------------------------------------------------------------------------------
    Case("cuInit fails as torch does", ubuntu(CARD), CODE, driver=driver(CARD, errors={"cuInit": 3}), torch=quoting(3)),
    Case(
        "cuInit fails with a number nobody knows",
        ubuntu(CARD),
        CODE,
        driver=driver(CARD, errors={"cuInit": 7777}),
        torch=torch(),
    ),
    Case(
        "cuInit fails, and torch is not tried",
        ubuntu(CARD),
        CODE,
        driver=driver(CARD, errors={"cuInit": 101}),
        torch=WORKS,
        options=("--fast",),
    ),
    Case("cuInit ends the process", ubuntu(CARD), CODE, driver=driver(CARD, errors={"cuInit": "crash"}), torch=torch()),
    Case("cuInit never comes back", ubuntu(CARD), CODE, driver=driver(CARD, errors={"cuInit": "hang"}), torch=torch()),
    Case(
        "NVML fails, and torch sees no GPU",
        ubuntu(CARD),
        CODE,
        driver=driver(CARD, errors={"nvmlInit": 999}),
        torch=torch(),
    ),
    # --- torch fails with a GPU that it sees ---------------------------------------------------------------------------
    Case(
        "a convolution with wrong numbers", ubuntu(CARD), CODE, driver=driver(CARD), torch={**WORKS, "conv2d": "wrong"}
    ),
    Case(
        "an error inside cuDNN",
        ubuntu(CARD),
        CODE,
        driver=driver(CARD),
        torch={**WORKS, "conv2d": f"raise {INTERNAL.removeprefix('RuntimeError: ')}"},
    ),
    Case(
        "is_available raises", ubuntu(CARD), CODE, driver=driver(CARD), torch={**WORKS, "is_available": "raise no idea"}
    ),
    Case("properties raise", ubuntu(CARD), CODE, driver=driver(CARD), torch={**WORKS, "properties": "raise no idea"}),
    Case("torch sees one card of two", ubuntu(*TWO), CODE, driver=driver(*TWO), torch=WORKS),
    Case(
        "NumPy ends Python under torch",
        ubuntu(CARD),
        CODE,
        driver=driver(CARD),
        torch={**WORKS, "numpy": "crash"},
        furnish=with_numpy,
    ),
    Case(
        "torchvision ends Python under torch",
        ubuntu(CARD),
        CODE,
        driver=driver(CARD),
        torch={**WORKS, "load": "crash"},
        furnish=with_torchvision,
    ),
    # --- one card of two -------------------------------------------------------------------------------------------------
    Case(
        "a lost card beside one that works",
        ubuntu(*TWO),
        "gpu-lost",
        driver=driver(TWO[0], gpu(lost=1)),
        torch=WORKS,
        near=(CODE,),
    ),
    Case(
        "a second card that the driver did not start",
        ubuntu(*TWO, change=without_driver(1)),
        "gpu-lost",
        driver=driver(TWO[0]),
        torch=WORKS,
        near=("driver-not-loaded",),
    ),
    # --- CUDA libraries of torch itself ----------------------------------------------------------------------------------
    Case(
        "a CUDA library that torch itself misses",
        ubuntu(CARD),
        "nvidia-wheels-mismatch",
        driver=driver(CARD),
        torch=torch(importing="raise libcudart.so.13: cannot open shared object file: No such file or directory"),
        near=("toolkit-missing", "extension-abi-mismatch"),
    ),
    Case(
        "an older NCCL wheel with which a small computation works",
        ubuntu(CARD),
        "nvidia-wheels-mismatch",
        "warning",
        driver=driver(CARD),
        torch={**WORKS, "requires": PINS},
        packages=(("nvidia-nccl-cu13", "2.20.5"), ("nvidia-cublas", "13.4.1.2")),
    ),
    Case(
        "NVML and cuInit never come back, and torch is not tried",
        ubuntu(CARD),
        CODE,
        driver=driver(CARD, errors={"nvmlInit": "hang", "libcuda.load": "hang"}),
        torch=WORKS,
        options=("--fast",),
    ),
    # --- not enough is known -------------------------------------------------------------------------------------------
    Case(
        "NVML never comes back and there is no libcuda, torch is not tried",
        ubuntu(CARD),
        driver=driver(CARD, errors={"nvmlInit": "hang"}, libraries=("nvml",)),
        torch=WORKS,
        options=("--fast",),
        unknown=True,
    ),
    # --- near-misses -------------------------------------------------------------------------------------------------------
    Case(
        "one card of two without code in this torch, chosen away",
        ubuntu(CARD, gpu("NVIDIA GeForce RTX 5090")),
        driver=driver(CARD, gpu("NVIDIA GeForce RTX 5090")),
        torch=torch("2.6.0+cu124", CARD),
        environment={"CUDA_VISIBLE_DEVICES": "0"},
        near=(CODE, "gpu-arch-too-new-for-torch"),
    ),
]
