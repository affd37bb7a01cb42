"""The toolkit layer: what would build extensions, which no running torch needs."""

from __future__ import annotations

from tests.machines.parts import Change, driver, gpu, toolkit, torch, ubuntu
from tests.machines.simulation import Case
from tests.sysroot import Sysroot, elf

CARD = gpu()
WORKS = torch("2.15.0+cu132", CARD)
HAS = driver(CARD)


def gcc(major: int) -> Change:
    """This gcc is the default."""

    def change(s: Sysroot) -> None:
        s.path("/usr/bin/gcc").unlink()
        s.file(f"/usr/bin/gcc-{major}", elf(), mode=0o755).link("/usr/bin/gcc", f"gcc-{major}")

    return change


CUDA_12_8 = {"CUDA_HOME": "/usr/local/cuda-12.8"}

CASES = [
    Case(
        "CUDA_HOME names another CUDA than torch's",
        ubuntu(CARD, change=toolkit("12.8.93")),
        "toolkit-mismatch",
        "warning",
        driver=HAS,
        torch=WORKS,
        environment=CUDA_12_8,
        near=("toolkit-missing", "toolkit-multiple", "host-compiler-unsupported"),
    ),
    Case(
        "CUDA_HOME names another minor version",
        ubuntu(CARD, change=toolkit("13.0.88")),
        driver=HAS,
        torch=WORKS,
        environment={"CUDA_HOME": "/usr/local/cuda-13.0"},
        near=("toolkit-mismatch", "toolkit-missing"),
    ),
    Case(
        "an old CUDA that nobody builds with",
        ubuntu(CARD, change=toolkit("12.8.93", current=True)),
        driver=HAS,
        torch=WORKS,
        near=("toolkit-mismatch", "toolkit-multiple"),
    ),
    Case(
        "CUDA_HOME names a folder that is gone",
        ubuntu(CARD),
        "toolkit-missing",
        "warning",
        driver=HAS,
        torch=WORKS,
        environment=CUDA_12_8,
        near=("toolkit-mismatch",),
    ),
    Case("no toolkit, and nobody asks for one", ubuntu(CARD), driver=HAS, torch=WORKS, near=("toolkit-missing",)),
    Case(
        "PATH and CUDA_HOME name two toolkits",
        ubuntu(CARD, change=[toolkit("12.8.93"), toolkit("13.2.86")]),
        "toolkit-multiple",
        "warning",
        driver=HAS,
        torch=WORKS,
        environment={"CUDA_HOME": "/usr/local/cuda-13.2", "PATH": "/usr/local/cuda-12.8/bin:/usr/bin:/bin"},
        near=("toolkit-mismatch",),
    ),
    Case(
        "two toolkits, and one is named everywhere",
        ubuntu(CARD, change=[toolkit("12.8.93"), toolkit("13.2.86", current=True)]),
        driver=HAS,
        torch=WORKS,
        environment={"CUDA_HOME": "/usr/local/cuda-13.2", "PATH": "/usr/local/cuda-13.2/bin:/usr/bin:/bin"},
        near=("toolkit-multiple", "toolkit-mismatch"),
    ),
    Case(
        "a compiler that this nvcc does not know",
        ubuntu(CARD, change=[toolkit("12.8.93"), gcc(15)]),
        "host-compiler-unsupported",
        "warning",
        driver=HAS,
        torch=torch("2.9.1+cu128", CARD),
        environment=CUDA_12_8,
        near=("toolkit-mismatch",),
    ),
    Case(
        "the newest compiler that this nvcc knows",
        ubuntu(CARD, change=[toolkit("12.8.93"), gcc(14)]),
        driver=HAS,
        torch=torch("2.9.1+cu128", CARD),
        environment=CUDA_12_8,
        near=("host-compiler-unsupported",),
    ),
]
