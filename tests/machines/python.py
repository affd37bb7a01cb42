"""The environment: builds of torch, what was built against it, and what lies in its way."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.machines.parts import NO_KERNEL, driver, gpu, torch, ubuntu
from tests.machines.simulation import Case, environment
from tests.targets import Target, install_stub_torch

CARD = gpu()
BLACKWELL = gpu("NVIDIA GeForce RTX 5090")
VOLTA = gpu("Tesla V100-SXM2-16GB")
HAS = driver(CARD)
WORKS = torch("2.15.0+cu132", CARD)


def second(version: str, **behaviour: object) -> Callable[[Target], object]:
    """A second torch, in a folder that PYTHONPATH puts first."""

    def furnish(target: Target) -> None:
        other = environment(target.prefix.parent / "other")
        install_stub_torch(other, **{**torch(version, CARD), **behaviour})
        shutil.copytree(other.site, target.prefix.parent / "first", dirs_exist_ok=True)

    return furnish


FIRST = {"PYTHONPATH": "{env}/../first"}


def in_current_folder(*names: str) -> Callable[[Target], object]:
    """Files and folders where the user's programs start."""

    def furnish(target: Target) -> None:
        for name in names:
            path = target.prefix.parent / "here" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("")

    return furnish


def compiled(
    name: str, version: str, *requires: str, tag: str = "cp312-cp312-linux_x86_64"
) -> Callable[[Target], object]:
    def furnish(target: Target) -> None:
        target.install(name, version, *requires, WHEEL=f"Wheel-Version: 1.0\nTag: {tag}\n")

    return furnish


def without_libraries(target: Target) -> None:
    """An install that was cut off: RECORD names what is not there."""
    record = next(target.site.glob("torch-*.dist-info")) / "RECORD"
    record.write_text(
        record.read_text() + "torch/lib/libtorch_cuda.so,sha256=AAAA,900000000\ntorch/_C.so,sha256=AAAA,38000\n"
    )


def slim(target: Target) -> None:
    """An image without tests, tools and headers."""
    record = next(target.site.glob("torch-*.dist-info")) / "RECORD"
    record.write_text(
        record.read_text() + "torch/test/__init__.py,,0\ntorch/bin/protoc,,9\ntorch/include/torch/csrc/api.h,,9\n"
    )


def shadow(target: Target) -> None:
    folder = target.prefix.parent / "first"
    folder.mkdir()
    (folder / "random.py").write_text("import torch\n")


CASES = [
    # --- builds --------------------------------------------------------------------------------------------------------
    Case(
        "a CPU build beside a GPU",
        ubuntu(CARD),
        "torch-cpu-only",
        driver=HAS,
        torch=torch("2.14.1+cpu"),
        near=("driver-too-old", "torch-missing"),
    ),
    Case(
        "a Blackwell card on torch 2.6",
        ubuntu(BLACKWELL),
        "gpu-arch-too-new-for-torch",
        driver=driver(BLACKWELL),
        torch=torch("2.6.0+cu124", BLACKWELL, mm=NO_KERNEL, conv2d=NO_KERNEL),
        near=("gpu-arch-too-old-for-torch", "extension-arch-missing"),
    ),
    Case(
        "a Volta card on torch 2.15",
        ubuntu(VOLTA, is_open=False),
        "gpu-arch-too-old-for-torch",
        driver=driver(VOLTA),
        torch=torch("2.15.0+cu132", VOLTA, mm=NO_KERNEL, conv2d=NO_KERNEL),
        near=("gpu-arch-too-new-for-torch", "driver-too-old", "extension-arch-missing"),
    ),
    Case(
        "a torch that crashes for a reason unknown",
        ubuntu(CARD),
        "torch-failure-unexplained",
        driver=HAS,
        torch=torch(importing="crash"),
        near=("torch-missing", "torch-install-corrupt"),
    ),
    # --- installs ------------------------------------------------------------------------------------------------------
    Case(
        "two torches, and the first cannot be imported",
        ubuntu(CARD),
        "torch-duplicate-install",
        driver=HAS,
        torch=WORKS,
        furnish=second(
            "2.6.0+cu124", importing="raise /x/torch/lib/libtorch_cpu.so: undefined symbol: _ZN3c105ErrorD1Ev"
        ),
        environment=FIRST,
        near=("torch-missing",),
    ),
    Case(
        "the same torch twice",
        ubuntu(CARD),
        driver=HAS,
        torch=WORKS,
        furnish=second("2.15.0+cu132"),
        environment=FIRST,
        near=("torch-duplicate-install", "module-shadowed"),
    ),
    Case(
        "an install that was cut off",
        ubuntu(CARD),
        "torch-install-corrupt",
        driver=HAS,
        torch=torch(importing="raise libtorch_cuda.so: cannot open shared object file: No such file or directory"),
        furnish=without_libraries,
        near=("nvidia-wheels-mismatch", "extension-abi-mismatch", "cudnn-missing"),
    ),
    Case(
        "an image without tests and tools",
        ubuntu(CARD),
        driver=HAS,
        torch=WORKS,
        furnish=slim,
        near=("torch-install-corrupt",),
    ),
    Case(
        "a random.py on PYTHONPATH",
        ubuntu(CARD),
        "module-shadowed",
        driver=HAS,
        torch=torch(
            importing="raise cannot import name 'Random' from 'random' (consider renaming '/src/random.py' since it has the "
            "same name as the standard library module named 'random' and prevents importing that standard library module)"
        ),
        furnish=shadow,
        environment=FIRST,
        near=("torch-install-corrupt", "torch-missing"),
    ),
    Case(
        "a data folder named torch where programs start",
        ubuntu(CARD),
        driver=HAS,
        torch=WORKS,
        furnish=in_current_folder("torch/data.csv", "test/__init__.py", "code.py", "model.py"),
        near=("module-shadowed",),
    ),
    # --- siblings ------------------------------------------------------------------------------------------------------
    Case(
        "a torchvision of another release",
        ubuntu(CARD),
        "torchvision-mismatch",
        driver=HAS,
        torch=WORKS,
        packages=(("torchvision", "0.29.0", "torch==2.14.0"),),
        near=("torchaudio-mismatch", "extension-abi-mismatch"),
    ),
    Case(
        "a torchvision and a torchaudio of the same release",
        ubuntu(CARD),
        driver=HAS,
        torch=torch("2.9.1+cu128", CARD),
        packages=(("torchvision", "0.24.1+cu128", "torch==2.9.1"), ("torchaudio", "2.9.1+cu128", "torch==2.9.1")),
        near=("torchvision-mismatch", "torchaudio-mismatch"),
    ),
    Case(
        "a torchaudio of another release",
        ubuntu(CARD),
        "torchaudio-mismatch",
        driver=HAS,
        torch=torch("2.9.1+cu128", CARD),
        packages=(("torchaudio", "2.6.0", "torch==2.6.0"),),
        near=("torchvision-mismatch", "extension-abi-mismatch"),
    ),
    # --- numpy, triton -------------------------------------------------------------------------------------------------
    Case(
        "NumPy 2 under a torch for NumPy 1",
        ubuntu(CARD),
        "numpy-abi-mismatch",
        driver=HAS,
        torch=torch("2.2.2+cu121", CARD),
        packages=(("numpy", "2.3.4"),),
    ),
    Case(
        "NumPy 1 under that torch",
        ubuntu(CARD),
        driver=HAS,
        torch=torch("2.2.2+cu121", CARD),
        packages=(("numpy", "1.26.4"),),
        near=("numpy-abi-mismatch",),
    ),
    Case(
        "a triton of another release",
        ubuntu(CARD),
        "triton-problem",
        "warning",
        driver=HAS,
        torch=torch("2.9.1+cu128", CARD, requires=("triton==3.5.1",)),
        packages=(("triton", "3.1.0"),),
        near=("extension-abi-mismatch",),
    ),
    Case(
        "a triton of another patch release",
        ubuntu(CARD),
        driver=HAS,
        torch=torch("2.9.1+cu128", CARD, requires=("triton==3.5.1",)),
        packages=(("triton", "3.5.0"),),
        near=("triton-problem",),
    ),
    # --- extensions ----------------------------------------------------------------------------------------------------
    Case(
        "an attention kernel for another torch",
        ubuntu(CARD),
        "extension-abi-mismatch",
        driver=HAS,
        torch=torch("2.9.1+cu128", CARD),
        furnish=compiled("flash-attn", "2.7.4.post1+cu12torch2.6cxx11abiFALSE", "torch"),
        near=("extension-arch-missing", "torchvision-mismatch"),
    ),
    Case(
        "an attention kernel for this torch",
        ubuntu(CARD),
        driver=HAS,
        torch=torch("2.9.1+cu128", CARD),
        furnish=compiled("flash-attn", "2.8.3+cu12torch2.9cxx11abiTRUE", "torch"),
        near=("extension-abi-mismatch",),
    ),
]
