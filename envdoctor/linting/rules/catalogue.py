"""The rules for files, as data: their ids, what each says, the diagnosis that its finding would end in, and two examples.

`docs/rules` is written from it (`make pages`), and the tests hold that each rule fires on its first example and is silent on its
second. A rule's judgement stands in the module that `Finding.rule` is set in; an id is never renamed or reused.
"""

from __future__ import annotations

import msgspec

DOCKERFILE, REQUIREMENTS, CONDA, COMPOSE = "Dockerfile", "requirements.txt", "environment.yml", "compose.yaml"
INDEX = "https://download.pytorch.org/whl"
NGPU = "pytorch/pytorch:2.8.0-cuda12.8-cudnn9-runtime"


class LintRule(msgspec.Struct, frozen=True):
    """`codes`: the diagnoses; `title`: one line; `why`: what happens and how it is told; `repair`: what to write; `file`: the
    kind of the examples, `fires` and `silent`; `gpu`, `driver`: of the machine that they are judged for, '' for none."""

    id: str
    codes: tuple[str, ...]
    title: str
    why: str
    repair: str
    file: str
    fires: str
    silent: str
    gpu: str = ""
    driver: str = ""


RULES = (
    LintRule("gpu-without-code", ("gpu-arch-too-new-for-torch", "gpu-arch-too-old-for-torch"),
         "This torch has no code for the GPU",
         "A torch is compiled for a list of GPU architectures. Where its list is known, that decides; else the CUDA that it was "
         "built with, for no toolkit compiles for GPUs that came after it or that it has dropped.",
         "The nearest build with code for the GPU; of an image, a newer tag.",
         REQUIREMENTS, "torch==1.10.0\n", "torch==2.8.0\n", "RTX 5090", "580"),
    LintRule("driver-older-than-torch", ("driver-too-old",), "The driver is older than this torch needs",
         "Each CUDA major needs a driver; an unpinned torch moves to the next one by itself.",
         "A build for the driver's CUDA, or a newer driver.", REQUIREMENTS, "torch\n", "torch==2.6.0\n", "A100", "535"),
    LintRule("driver-older-than-image", ("driver-too-old",), "The host's driver is too old for this image",
         "NVIDIA's images carry NVIDIA_REQUIRE_CUDA: the container does not start where the driver is older.",
         "A plain image, for torch's wheels bring CUDA themselves, or an image of an older CUDA.",
         DOCKERFILE, "FROM nvidia/cuda:13.0.1-base-ubuntu24.04\n", "FROM nvidia/cuda:12.4.1-base-ubuntu22.04\n",
         "RTX 4090", "560"),
    LintRule("cpu-build-on-gpu-machine", ("torch-cpu-only",), "A build for CPUs on a machine with a GPU",
         "The index for CPUs, `cpuonly`, or Windows' default build: torch works, and not on the GPU.",
         "The index of a CUDA.", REQUIREMENTS, f"--index-url {INDEX}/cpu\ntorch==2.8.0\n",
         f"--index-url {INDEX}/cu128\ntorch==2.8.0\n", "RTX 4090", "580"),
    LintRule("python-without-wheel", ("python-unsupported",), "No wheel of this torch for this Python",
         "A release has wheels for the Pythons of its time. For others pip says that there is no matching distribution.",
         "A Python or a torch of the other's time.", DOCKERFILE, "FROM python:3.12-slim\nRUN pip install torch==1.13.1\n",
         "FROM python:3.10-slim\nRUN pip install torch==1.13.1\n"),
    LintRule("torch-for-dead-pythons", ("python-unsupported",), "No wheel of this torch for a Python of today",
         "Its wheels are all for Pythons that no release of today has wheels for, and the file names no Python.",
         "Name the Python, or take a newer torch.", REQUIREMENTS, "torch==1.4.0\n", "torch==1.13.1\n"),
    LintRule("get-pip-on-dead-python", ("python-unsupported",), "pip's installer no longer runs on this Python",
         "bootstrap.pypa.io/get-pip.py brings the newest pip, which has dropped older Pythons.",
         "The copy for that Python: bootstrap.pypa.io/pip/3.7/get-pip.py.",
         DOCKERFILE, "FROM ubuntu:18.04\nRUN curl -O https://bootstrap.pypa.io/get-pip.py && python3.7 get-pip.py\n",
         "FROM ubuntu:18.04\nRUN curl -O https://bootstrap.pypa.io/pip/3.7/get-pip.py && python3.7 get-pip.py\n"),
    LintRule("glibc-older-than-wheel", ("glibc-too-old",), "The C library there is older than the wheel accepts",
         "A manylinux wheel names the lowest glibc that it runs on.", "A newer distribution, or an older torch.",
         DOCKERFILE, "FROM ubuntu:18.04\nRUN uv venv --python 3.12 && uv pip install torch==2.8.0\n",
         "FROM ubuntu:22.04\nRUN uv venv --python 3.12 && uv pip install torch==2.8.0\n"),
    LintRule("libc-without-wheel", ("platform-unsupported",), "No wheel for this C library",
         "torch publishes no wheels for musl.", "A glibc image.", DOCKERFILE, "FROM python:3.12-alpine\nRUN pip install torch\n",
         "FROM python:3.12-slim\nRUN pip install torch\n"),
    LintRule("build-without-index", ("platform-unsupported",), "PyPI has no such build",
         "Builds named by a local part (+cu118) lie on PyTorch's own index.", "Name that index.",
         REQUIREMENTS, "torch==2.0.1+cu118\n", f"--extra-index-url {INDEX}/cu118\ntorch==2.0.1+cu118\n"),
    LintRule("index-without-wheel", ("platform-unsupported",), "That index has no such wheel",
         "Each index has the releases that were built with its CUDA. Said only of indexes whose content is fully known.",
         "An index that has it.", REQUIREMENTS, f"--index-url {INDEX}/cu118\ntorch==2.9.1\n",
         f"--index-url {INDEX}/cu128\ntorch==2.9.1\n"),
    LintRule("extra-index-without-torch", ("wheel-index-missing",), "The extra index does not have this torch",
         "An extra index stands beside PyPI and holds pip back from nothing: where it lacks the release, PyPI's build is taken, "
         "of another CUDA.", "A release that it has, or another index.",
         REQUIREMENTS, f"--extra-index-url {INDEX}/cu121\ntorch==2.6.0\n", f"--extra-index-url {INDEX}/cu124\ntorch==2.6.0\n"),
    LintRule("requirement-redirected", ("torch-too-old-for-package",), "The shell takes a requirement for a redirection",
         "Without quotes, `>=2.0` sends the output to a file and `<2` reads one.", "Quotes.",
         DOCKERFILE, "FROM python:3.12-slim\nRUN pip install torch>=2.8\n",
         "FROM python:3.12-slim\nRUN pip install 'torch>=2.8'\n"),
    LintRule("image-missing", ("platform-unsupported",), "No such image",
         "The tag is in no list of tags, names no flavour or system, or has a CUDA or cuDNN that the release was not built with.",
         "A tag that exists.", DOCKERFILE, "FROM pytorch/pytorch:2.4.0-cuda12.1-cudnn8-runtime\n",
         "FROM pytorch/pytorch:2.4.0-cuda12.1-cudnn9-runtime\n"),
    LintRule("image-unsupported", ("platform-unsupported",), "An image that may be gone",
         "NVIDIA listed the tag as unsupported, and deletes such tags after six months.", "A supported tag of the same CUDA.",
         DOCKERFILE, "FROM nvidia/cuda:11.1.1-cudnn8-devel-ubuntu18.04\n", "FROM nvidia/cuda:12.8.1-devel-ubuntu22.04\n"),
    LintRule("image-tag-moves", ("driver-too-old",), "An image that changes under its name",
         "`latest` is another torch and another CUDA after each release.", "Name release, CUDA and flavour.",
         DOCKERFILE, "FROM pytorch/pytorch:latest\n", f"FROM {NGPU}\n"),
    LintRule("driver-in-image", ("driver-library-mismatch",), "A driver installed into an image",
         "The container runtime mounts the host's driver; a second one of another version shadows it.", "Leave it out.",
         DOCKERFILE, "FROM ubuntu:24.04\nRUN apt-get install -y nvidia-driver-580\n",
         "FROM ubuntu:24.04\nRUN apt-get install -y cuda-toolkit-13-2\n"),
    LintRule("cuda-twice", ("toolkit-multiple",), "CUDA twice",
         "torch's wheels bring CUDA; below them the image's is gigabytes that nobody loads.", "A plain image.",
         DOCKERFILE, "FROM nvidia/cuda:12.8.1-runtime-ubuntu24.04\nRUN uv pip install --python 3.12 torch==2.8.0\n",
         "FROM nvidia/cuda:12.8.1-base-ubuntu24.04\nRUN uv pip install --python 3.12 torch==2.8.0\n"),
    LintRule("toolkit-of-another-cuda", ("toolkit-mismatch",), "The image's toolkit is of another CUDA than torch",
         "torch refuses to build extensions across CUDA majors.", "A devel image of torch's CUDA.",
         DOCKERFILE, "FROM nvidia/cuda:12.8.1-devel-ubuntu24.04\nRUN uv pip install --python 3.12 torch==2.15.0\n"
         "RUN uv pip install mine --no-build-isolation\n",
         "FROM nvidia/cuda:12.8.1-devel-ubuntu24.04\nRUN uv pip install --python 3.12 torch==2.8.0\n"
         "RUN uv pip install mine --no-build-isolation\n"),
    LintRule("nvcc-missing", ("toolkit-missing",), "nvcc is needed and not in the image",
         "Packages without wheels compile CUDA code when they are installed; base, runtime and plain images have no nvcc.",
         "A devel image for the stage that compiles.", DOCKERFILE,
         f"FROM {NGPU}\nRUN pip install flash-attn --no-build-isolation\n",
         f"FROM {NGPU.replace('runtime', 'devel')}\nRUN pip install flash-attn --no-build-isolation\n"),
    LintRule("arch-list-without-gpu", ("extension-arch-missing",), "What is compiled there has no code for the GPU",
         "TORCH_CUDA_ARCH_LIST leaves the GPU out, and no PTX in it can be compiled for it.", "Add its capability.",
         DOCKERFILE, f'FROM {NGPU}\nENV TORCH_CUDA_ARCH_LIST="8.0;8.6"\n', f'FROM {NGPU}\nENV TORCH_CUDA_ARCH_LIST="8.0;12.0"\n',
         "RTX 5090", "580"),
    LintRule("service-without-gpu", ("container-no-gpu",), "No GPU is given to this service",
         "Its image or its variables say that it means to use one; a reservation that is commented out is a warning.",
         "Reserve the GPUs.", COMPOSE, f"services:\n  train:\n    image: {NGPU}\n",
         f"services:\n  train:\n    image: {NGPU}\n    gpus: all\n"),
    LintRule("driver-capabilities-without-compute", ("container-no-gpu",), "The driver's CUDA part is left out",
         "NVIDIA_DRIVER_CAPABILITIES without `compute` mounts no libcuda.", "compute,utility.",
         DOCKERFILE, "FROM ubuntu:24.04\nENV NVIDIA_DRIVER_CAPABILITIES=utility\n",
         "FROM ubuntu:24.04\nENV NVIDIA_DRIVER_CAPABILITIES=compute,utility\n"),
    LintRule("gpus-hidden", ("visible-devices-hidden",), "A variable hides the GPUs",
         "CUDA_VISIBLE_DEVICES or NVIDIA_VISIBLE_DEVICES leaves none.", "Remove it.",
         DOCKERFILE, "FROM ubuntu:24.04\nENV CUDA_VISIBLE_DEVICES=-1\n", "FROM ubuntu:24.04\nENV CUDA_VISIBLE_DEVICES=0\n"),
    LintRule("conda-channel-ended", ("platform-unsupported",), "That channel has no such release",
         "The `pytorch` channel ended with torch 2.5.", "conda-forge's pytorch-gpu, or pip.",
         CONDA, "channels: [pytorch]\ndependencies:\n  - pytorch=2.8\n",
         "channels: [conda-forge]\ndependencies:\n  - pytorch-gpu=2.8\n"),
    LintRule("torch-twice", ("torch-duplicate-install",), "torch twice in one environment",
         "By conda and by pip: the second lies over the first, file by file.", "Keep one.",
         CONDA, "channels: [conda-forge]\ndependencies:\n  - pytorch=2.8\n  - pip:\n    - torch==2.8.0\n",
         "channels: [conda-forge]\ndependencies:\n  - python=3.12\n  - pip:\n    - torch==2.8.0\n"),
    LintRule("packages-of-another-platform", ("platform-unsupported",), "Packages of another platform",
         "A list that was exported on Windows names packages that exist there only.", "Leave them out, or mark them.",
         REQUIREMENTS, "torch==2.8.0\npywin32==306\n", "torch==2.8.0\npywin32==306; sys_platform == 'win32'\n"),
    LintRule("numpy-2-beside-old-torch", ("numpy-abi-mismatch",), "NumPy 2 beside an older torch",
         "torch before 2.3 was compiled against NumPy 1. A warning: another package may hold NumPy back.", "numpy<2.",
         REQUIREMENTS, "torch==2.1.2\nnumpy\n", "torch==2.1.2\nnumpy<2\n"),
    LintRule("companion-of-another-release", ("torchvision-mismatch", "torchaudio-mismatch"), "A companion of another torch",
         "torchvision and torchaudio are made for one torch release.", "The pair.",
         REQUIREMENTS, "torch==2.6.0\ntorchvision==0.20.1\n", "torch==2.6.0\ntorchvision==0.21.0\n"),
    LintRule("companion-for-another-device", ("torchvision-mismatch", "torchaudio-mismatch"), "A companion for another device",
         "One comes as a build for CPUs and the other for CUDA: the operators do not load.", "Both from one index.",
         DOCKERFILE, f"FROM python:3.11-slim\nRUN pip install torch==2.6.0 --index-url {INDEX}/cu124\n"
         f"RUN pip install torchvision==0.21.0 --index-url {INDEX}/cpu\n",
         f"FROM python:3.11-slim\nRUN pip install torch==2.6.0 torchvision==0.21.0 --index-url {INDEX}/cu124\n"),
    LintRule("companion-pins-another-torch", ("extension-abi-mismatch",), "A package that pins another torch",
         "xformers and vllm pin one torch release: no installer can meet both.", "The release that goes with torch.",
         REQUIREMENTS, "torch==2.4.0\nxformers==0.0.33.post2\n", "torch==2.9.1\nxformers==0.0.33.post2\n"),
    LintRule("library-torch-does-not-pin", ("nvidia-wheels-mismatch", "triton-problem"),
         "A library of another version than torch pins",
         "torch pins NVIDIA's wheels and triton.", "Leave it out.",
         REQUIREMENTS, "torch==2.8.0\nnvidia-cudnn-cu12==9.1.0.70\n", "torch==2.8.0\n"),
)  # fmt: skip
