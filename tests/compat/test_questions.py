"""Questions people ask, with the answers that the sources give. Each was looked up where its source says; none was
copied from what envdoctor answered."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import pytest

from envdoctor.compat import answer, parse
from tests.as_of import then

MATRIX = "docs.nvidia.com/datacenter/tesla/drivers/cuda-toolkit-driver-and-architecture-matrix.html"
MINOR = "docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html"
BRANCHES = "docs.nvidia.com/datacenter/tesla/drivers/620/supported-drivers-and-cuda-toolkit-versions.html"
NOTES = 'CUDA release notes, table "CUDA Toolkit and Corresponding Driver Versions"'
WHEEL = "architecture string inside the PyPI wheel's libtorch_python.so, read by HTTP range"
SCRIPT = "build script of that release branch: pytorch/builder, later pytorch/pytorch .ci (TORCH_CUDA_ARCH_LIST)"
RULES = "torch/cuda/__init__.py of torch 2.15.0, DEVICE_REQUIREMENT"
INDEX = "PyPI simple index of torch: file names"
CUDNN = "fatbin of the nvidia-cudnn-cu11 wheels: 8.7.0.84 has sm_35, 9.1.0.70 begins at sm_50"
MODULES = "docs.nvidia.com/datacenter/tesla/driver-installation-guide, kernel modules: open required on Blackwell"
END_OF_CU12 = "pytorch/test-infra PR #8739: CUDA 12.6 leaves CD before 2.15"


class Asked(NamedTuple):
    question: str
    answer: str
    build: str | None
    """of a yes: the build it is about; of a no or unknown: the nearest that works (None: not looked at)"""
    source: str


QUESTIONS = [
    # Kepler
    Asked(
        "K80 torch 2.3 driver 470.256.02", "yes", "2.3.1+cu118", f"{SCRIPT} (cu118 has 3.7); {MATRIX} (R470); {CUDNN}"
    ),
    Asked("K80 torch 2.4 driver 470.256.02", "no", "2.3.1+cu118", f"{CUDNN}; torch 2.4 moved to cuDNN 9.1"),
    Asked("does torch 2.15 run on a Tesla K80?", "no", "2.3.1+cu118", WHEEL),
    Asked("gpu K80 driver 535.183.01", "no", None, f"{MATRIX}: Kepler ends with R470"),
    Asked("K40c torch 2.0", "unknown", None, f"{SCRIPT}: 3.7 is the lowest, and a script rules nothing out"),
    Asked("GTX 680 cuda 11.8", "no", None, f"{MATRIX}: 3.0 ends with CUDA 10.2"),
    Asked("Tesla K80 cuda 12.0", "no", None, f"{MATRIX}: 3.7 ends with CUDA 11"),
    # Maxwell, Pascal
    Asked(
        "GTX 980 Ti torch 2.14 driver 580.95.05", "yes", "2.14.1+cu126", "torch/cuda/__init__.py of 2.14.1: 12.6 has 50"
    ),
    Asked("GTX 980 torch 2.15", "no", "2.14.1+cu126", WHEEL),
    Asked(
        "1080ti torch 2.8 driver 535.183.01", "yes", "2.8.0+cu126", f"{WHEEL} (cu128: 70 up); {SCRIPT} (12.6: 50 up)"
    ),
    Asked("GTX 1080 driver 590.48.01", "no", "2.14.1+cu126", f"{MATRIX}: Pascal ends with R580"),
    Asked("P100 cuda 13.0", "no", None, f"{MATRIX}: Pascal ends with CUDA 12"),
    Asked("Tesla P100-PCIE-16GB torch 2.6 driver 525.147.05", "yes", "2.6.0+cu124", f"{WHEEL}; {MINOR}"),
    # Volta
    Asked("V100 torch 2.10 driver 535.183.01", "yes", "2.10.0+cu128", f"{WHEEL}: sm_70 in 2.10.0+cu128"),
    Asked("V100 torch 2.11 driver 535.183.01", "yes", "2.11.0+cu126", "RELEASE.md, 2.11: Volta in 12.6 only"),
    Asked("does torch 2.15 run on a V100 with driver 570?", "no", "2.14.1+cu126", f"{WHEEL}; {MINOR}"),
    Asked("gpu V100 driver 580.95.05", "yes", "2.14.1+cu126", f"{MATRIX}; torch/cuda/__init__.py of 2.14.1"),
    Asked("TITAN V driver 595.71.05", "no", "2.14.1+cu126", f"{MATRIX}: Volta ends with R580"),
    Asked("V100 torch 1.13 driver 450.80.02", "yes", "1.13.1+cu117", f"{WHEEL}; {MINOR}"),
    # Turing
    Asked("T4 torch 2.15 driver 580.65.06", "yes", "2.15.0+cu132", f"{WHEEL}; {MINOR}"),
    Asked("Tesla T4 torch 2.15 driver 535.161.08", "no", "2.14.1+cu126", MINOR),
    Asked("T4 driver 418.87", "no", None, f"{MINOR}: the oldest runtime of these wheels, CUDA 11, needs 450"),
    Asked("RTX 2080 Ti cuda 10.2 driver 440.33", "yes", None, NOTES),
    Asked("RTX 2080 Ti cuda 9.2", "no", None, f"{MATRIX}: Turing begins with CUDA 10.0"),
    Asked("GTX 1660 Ti torch 2.14 windows", "yes", "2.14.1+cu130", SCRIPT),
    # Ampere
    Asked("A100 torch 2.15 driver 550.54.15", "no", "2.14.1+cu126", MINOR),
    Asked("A100 torch 1.13 driver 450.80.02", "yes", "1.13.1+cu117", f"{WHEEL}; {MINOR}"),
    Asked(
        "A100-SXM4-80GB torch 2.1 driver 450.80.02", "yes", "2.1.2+cu118", f"{MINOR}: 12.1 needs 525, 11.8 needs 450"
    ),
    Asked("A100 driver 440.33.01", "no", "2.7.1+cu118", f"{MATRIX}: Ampere begins with CUDA 11.0, whose driver is 450"),
    Asked("RTX 3090 torch 2.7 driver 470.82.01", "yes", "2.7.1+cu118", f"{SCRIPT}; {MINOR}"),
    Asked("RTX 3090 torch 2.8 driver 470.82.01", "no", "2.7.1+cu118", f"{MINOR}; RELEASE.md: 2.8 has no CUDA 11"),
    Asked("A10G torch 2.5 python 3.13", "yes", "2.5.1+cu124", f"{INDEX}: cp313 for manylinux1_x86_64"),
    Asked("torch 2.5 python 3.13 windows", "no", None, f"{INDEX}: no cp313 for win_amd64"),
    Asked("A6000 torch 2.4 driver 525.60.13", "yes", "2.4.1+cu121", f"{WHEEL}; {MINOR}"),
    # Ada
    Asked("4090 torch 1.13 driver 525.78.01", "yes", "1.13.1+cu117", f"{WHEEL}: sm_86, which {RULES} runs on 8.9"),
    Asked("RTX 4090 driver 515.65.01", "no", None, f"{MATRIX}: Ada begins with CUDA 11.8, whose driver is 520"),
    Asked("rtx4090 torch 2.15 driver 570.124.06", "no", "2.14.1+cu126", MINOR),
    Asked("L40S torch 2.6 driver 535.104.05", "yes", "2.6.0+cu124", f"{WHEEL}; {MINOR}"),
    # Hopper
    Asked("H100 PCIe torch 1.13", "no", None, f"{WHEEL}: sm_86 is the highest of 1.13"),
    Asked("H100 torch 2.0", "yes", "2.0.1+cu118", f"{SCRIPT}: 9.0 in cu118 of 2.0"),
    Asked("H100 SXM torch 2.15 driver 580.95.05", "yes", "2.15.0+cu132", f"{WHEEL}; {MINOR}"),
    Asked("H100 PCIe driver 515.43.04", "no", None, f"{MATRIX}: Hopper begins with CUDA 11.8, whose driver is 520"),
    Asked(
        "GH200 torch 2.14 driver 560.35.03",
        "yes",
        "2.14.1+cu126",
        "torch/cuda/__init__.py of 2.14.1, aarch64: 12.6 has 90",
    ),
    Asked("GH200 480GB torch 2.15 driver 560.35.03", "no", "2.14.1+cu126", MINOR),
    # Blackwell
    Asked("B200 torch 2.6", "no", None, f"{WHEEL}: sm_90 is the highest of 2.6"),
    Asked("B200 torch 2.7 driver 570.133.20", "yes", "2.7.1+cu128", "get_arch_list() of 2.7 cu128 has sm_100"),
    Asked(
        "B300 torch 2.10",
        "yes",
        "2.10.0+cu130",
        f"{WHEEL}: sm_100, which {RULES} runs on 10.3; ptxas knows 103 from 12.9",
    ),
    Asked("RTX 5090 torch 2.6", "no", "2.15.0+cu132", WHEEL),
    Asked("RTX 5090 torch 2.7 driver 570.86.16", "yes", "2.7.1+cu128", f"get_arch_list() of 2.7 cu128; {MINOR}"),
    Asked("RTX 5090 driver 565.77", "no", None, f"{MATRIX}: Blackwell begins with CUDA 12.8, whose driver is 570"),
    Asked("RTX 5090 torch 2.15 driver 575.57.08", "no", None, f"{MINOR}: 13.x needs 580"),
    Asked("RTX 5090 torch 2.15 driver 610.43.02", "yes", "2.15.0+cu132", f"{WHEEL}; {BRANCHES}"),
    Asked("RTX 5090 torch 2.15 driver 620.20", "yes", "2.15.0+cu132", BRANCHES),
    Asked(
        "5070 torch 2.11 driver 572.83 windows",
        "yes",
        "2.11.0+cu128",
        "get_arch_list() of the Windows 2.11 cu128 wheel",
    ),
    Asked(
        "RTX 5060 torch 2.15 windows",
        "unknown",
        "2.14.1+cu130",
        f"{INDEX}: no CUDA wheel for Windows; none seen elsewhere",
    ),
    Asked("V100 and RTX 5090", "no", None, MODULES),
    # GB10, Jetson
    Asked(
        "GB10 torch 2.9 driver 580.119.02", "yes", "2.9.1+cu130", f"get_arch_list() on aarch64; {RULES}: sm_120 on 12.1"
    ),
    Asked("DGX Spark torch 2.15", "yes", "2.15.0+cu132", f"{WHEEL} (aarch64)"),
    Asked("DGX Spark torch 2.15 driver 570.133.20", "no", None, f"{MINOR}; sm_121 is in ptxas from 12.9 on (R575)"),
    Asked("Jetson Orin torch 2.15", "yes", "2.15.0+cu132", f"{RULES}: sm_80 runs on 8.7 from CUDA 13.2 on"),
    Asked(
        "Jetson Orin torch 2.11", "unknown", "2.15.0+cu132", f"{RULES}: sm_80 excludes 8.7; cu126's list was not read"
    ),
    Asked("Jetson AGX Xavier 32GB torch 2.15", "no", None, f"{WHEEL} (aarch64): sm_80 is the lowest"),
    Asked("Jetson Thor torch 2.11", "yes", "2.11.0+cu130", f"{WHEEL} (aarch64): sm_110"),
    Asked("Jetson Nano torch 2.0", "no", None, f"{INDEX}: aarch64 wheels of 2.0 are without CUDA"),
    # CUDA and drivers alone
    Asked("cuda 11.8 driver 450.80.02", "yes", None, MINOR),
    Asked("cuda 11.8 driver 440.33", "no", None, MINOR),
    Asked("cuda 12.4 driver 525.60.13", "yes", None, MINOR),
    Asked("cuda 12.4 driver 520.61.05", "no", None, MINOR),
    Asked("cuda 13.2 driver 580.65.06", "yes", None, MINOR),
    Asked("cuda 13.0 driver 575.57.08", "no", None, MINOR),
    # What was published
    Asked("torch 2.15 cuda 12.6", "no", "2.14.1+cu126", END_OF_CU12),
    Asked(
        "torch 2.15 cuda 13.0",
        "unknown",
        None,
        "no 2.15.0+cu130 wheel seen: an RFC, and reports older than the release",
    ),
    Asked("torch 2.9 cuda 13.0", "yes", "2.9.1+cu130", "RELEASE.md; pytorch/test-infra release/2.9"),
    Asked("torch 2.6 cuda 12.8", "no", None, "RELEASE.md: 2.6 has 11.8, 12.4, 12.6"),
    Asked("torch 2.12.5 gpu 3090", "no", None, INDEX),
    # Python and the C library
    Asked("torch 2.4 python 3.13", "no", None, INDEX),
    Asked("torch 2.15 python 3.10", "no", "2.14.1+cu130", INDEX),
    Asked("torch 2.15 python 3.15", "yes", "2.15.0+cu132", INDEX),
    Asked("torch 2.9 python 3.9", "no", None, INDEX),
    Asked("torch 2.14 python 3.14t gpu 4090", "yes", "2.14.1+cu130", f"{INDEX}: cp314-cp314t"),
    Asked("torch 2.7 gpu 3090 glibc 2.17", "no", "2.6.0+cu124", f"{INDEX}: manylinux_2_28 from 2.7 on"),
    Asked("torch 2.6 gpu 3090 glibc 2.17", "yes", "2.6.0+cu124", "RELEASE.md: manylinux2014 up to 2.6"),
    # Newer than the table: rules
    Asked("RTX 5090 torch 2.15 driver 640.10", "yes", "2.15.0+cu132", f"{MATRIX}: new drivers run old CUDA"),
    Asked("V100 driver 640.10", "no", "2.14.1+cu126", f"{MATRIX}: Volta ends with R580"),
    Asked("torch 2.16 gpu 4090 driver 580.95.05", "yes", None, "by rule: as torch 2.15"),
    Asked("torch 2.16 gpu V100 driver 580.95.05", "no", "2.14.1+cu126", f"by rule: {MATRIX}"),
    Asked("torch 2.16 gpu 4090 driver 550.54", "no", "2.14.1+cu126", f"by rule: {MINOR}"),
    Asked("cuda 14 driver 580.95.05", "no", None, f"{BRANCHES}: R580 runs CUDA 13 at most"),
    Asked("cuda 14 driver 640.10", "unknown", None, "nothing is known of either"),
    Asked("cuda 13.6 driver 580.95.05", "yes", None, MINOR),
    Asked("python 3.16 torch 2.15", "no", None, INDEX),
    Asked("torch 1.12 gpu 3090", "unknown", None, "the table begins at 1.13"),
]


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked.question)
def test_the_answer_is_the_one_of_the_source(asked: Asked) -> None:
    found = answer(then(), parse([asked.question]))

    assert found.answer == asked.answer, [reason.text for reason in found.reasons]
    if asked.build is not None and asked.answer == "yes":
        assert found.build is not None
        assert found.build.name == asked.build
    elif asked.build is not None:
        assert asked.build in {change.build for change in found.nearest}


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: asked.question)
def test_every_answer_says_why_and_where_it_comes_from(asked: Asked) -> None:
    found = answer(then(), parse([asked.question]))

    decisive = [reason for reason in found.reasons if reason.verdict == found.answer]
    assert decisive
    assert found.summary.startswith({"yes": "Yes", "no": "No", "unknown": "Not known"}[asked.answer])
    assert any(reason.sources for reason in found.reasons) or found.answer == "unknown"


@pytest.mark.parametrize(
    "asked", [asked for asked in QUESTIONS if asked.answer == "no"], ids=lambda asked: asked.question
)
def test_what_is_offered_instead_works(asked: Asked) -> None:
    """Each change, made, turns the no into a yes."""
    world = then()
    question = parse([asked.question])
    for change in answer(world, question).nearest:
        if change.change != "torch" or change.build is None:
            continue
        release, _, variant = change.build.partition("+")
        cuda = f"{variant[2:4]}.{variant[4:]}" if variant.startswith("cu") else None
        changed = msgspec.structs.replace(question, torch=f"=={release}", cuda=cuda)
        retried = answer(world, changed)
        assert retried.answer == "yes", [reason.text for reason in retried.reasons]
        assert retried.build is not None
        assert retried.build.name == change.build


def test_there_are_sixty_questions_across_the_generations() -> None:
    assert len({asked.question for asked in QUESTIONS}) == len(QUESTIONS) >= 60
