"""A repair is this person's, or it is no command: kinds of environments, each with what must and what must not be printed."""

from __future__ import annotations

import re

import pytest

from envdoctor.diagnosis.model import Finding
from tests.diagnosis.texts import causes, judged

INDEX = "https://download.pytorch.org/whl"
CUDNN = "ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory"
IMPORTING = """Traceback (most recent call last):
  File "/srv/app/env/lib/python3.11/site-packages/torch/__init__.py", line 416, in <module>
    from torch._C import *  # noqa: F403
"""
NMS = "RuntimeError: operator torchvision::nms does not exist"
FLASH = (
    "ImportError: /srv/app/env/lib/python3.11/site-packages/flash_attn_2_cuda.cpython-311-x86_64-linux-gnu.so: "
    "undefined symbol: _ZN3c105ErrorC2ENS_14SourceLocationE"
)
NO_CUDA = "AssertionError: Torch not compiled with CUDA enabled"
NO_TRITON = "ModuleNotFoundError: No module named 'triton'"
NO_IMAGE = "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device"
PTXAS = "ptxas fatal   : Value 'sm_103a' is not defined for option 'gpu-name'"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"
OPEN = "NVRM: installed in this system requires use of the NVIDIA open kernel modules."
PROPRIETARY = """NVRM: installed in this system is not supported by open
NVRM: nvidia.ko because it does not include the required GPU
NVRM: System Processor (GSP)."""


def printed(text: str) -> tuple[Finding, str, str]:
    """The first cause, its commands, and all that its fixes say."""
    first = causes(text)[0]
    commands = "\n".join(command for fix in first.fixes for command in fix.commands)
    said = "\n".join(part for fix in first.fixes for part in (fix.title, *fix.commands, fix.note or ""))
    return first, commands, said


CASES: dict[str, tuple[str, str, tuple[str, ...], tuple[str, ...]]] = {
    # name: (text, cause, patterns that are said, patterns that are in no command)
    "cuDNN missing, nothing known of torch": (
        IMPORTING + CUDNN,
        "cudnn-missing",
        (r"pip show torch",),
        (r"whl/cpu", r"install.* torch\b"),
    ),
    "cuDNN missing, a release without its variant": (
        f"torch 2.9.1 on Debian\n{IMPORTING}{CUDNN}",
        "cudnn-missing",
        (r"pip show torch",),
        (r"whl/cpu", r"install.* torch\b"),
    ),
    "cuDNN missing, pip's own list": (
        f"[pip3] torch==2.9.1\n[pip3] numpy==2.3.1\n{IMPORTING}{CUDNN}",
        "cudnn-missing",
        (r"nvidia-cudnn-cu12==9\.",),
        (r"whl/cpu", r"torch=="),
    ),
    "cuDNN missing, a build of an index": (
        f"torch 2.9.1+cu126\n{IMPORTING}{CUDNN}",
        "cudnn-missing",
        (r"nvidia-cudnn-cu12==9\.",),
        (r"whl/cpu", r" torch=="),
    ),
    "a nightly's torchvision": (
        f"torch 2.13.0.dev20260511+cu130\n{NMS}",
        "torchvision-mismatch",
        (rf"--pre torch torchvision --index-url {INDEX}/nightly/cu130",),
        (r"dev20260511",),
    ),
    "a nightly with a library gone": (
        f"torch 2.13.0.dev20260511+cu130\n{IMPORTING}ImportError: libcudart.so.13: cannot open shared object file",
        "nvidia-wheels-mismatch",
        (rf"--pre.* torch .*{INDEX}/nightly/cu130",),
        (r"torch==",),
    ),
    "ROCm's torchvision": (
        f"torch 2.9.1+rocm6.4, AMD Instinct MI300X\n{NMS}",
        "torchvision-mismatch",
        (rf"torchvision==0\.24\.1 --index-url {INDEX}/rocm6\.4",),
        (r"\btorch==", r"whl/cu"),
    ),
    "a CPU build's torchvision": (
        f"torch 2.8.0+cpu\n{NMS}",
        "torchvision-mismatch",
        (rf"torchvision==0\.23\.0 --index-url {INDEX}/cpu",),
        (r"\btorch==",),
    ),
    "cu126's torchvision": (
        f"torch 2.10.0+cu126\n{NMS}",
        "torchvision-mismatch",
        (rf"torchvision==0\.25\.0 --index-url {INDEX}/cu126",),
        (r"\btorch==",),
    ),
    "torchvision beside a torch of unknown variant": (
        f"torch 2.6.0\n{NMS}",
        "torchvision-mismatch",
        (r"pip show torch", r"torchvision==0\.21\.0"),
        (r"install",),
    ),
    "torchvision beside an unknown torch": (
        NMS,
        "torchvision-mismatch",
        (r"pip show torch torchvision",),
        (r"install", r"uninstall"),
    ),
    "torchaudio of PyPI's": (
        (
            "[pip3] torch==2.7.1\n[pip3] torchaudio==2.6.0\n"
            "OSError: /e/lib/python3.11/site-packages/torchaudio/lib/libtorchaudio.so: undefined symbol: _ZNK3c105Error4whatEv"
        ),
        "torchaudio-mismatch",
        (r"torchaudio==2\.7\.1",),
        (r"\btorch==", r"index-url"),
    ),
    "torchvision in NVIDIA's image": (
        f"torch 2.8.0a0+34c6371d24.nv25.08\n{NMS}",
        "torchvision-mismatch",
        (r"image",),
        (r"pip",),
    ),
    "flash-attn by its file": (
        FLASH,
        "extension-abi-mismatch",
        (r"--no-build-isolation.*flash-attn",),
        (r"NAME", r"\btorch=="),
    ),
    "an extension that nothing names": (
        "ImportError: /tmp/build/my_ops.so: undefined symbol: _ZN2at4_ops10zeros_like4callERKNS_6TensorE",
        "extension-abi-mismatch",
        (r"names the package",),
        (r"NAME", r"pip"),
    ),
    "xformers for the torch that is there": (
        "xFormers was built for: PyTorch 2.7.0+cu126 with CUDA 1206 (you have 2.8.0+cu126)",
        "extension-abi-mismatch",
        (rf"xformers==0\.0\.32\.post\d --index-url {INDEX}/cu126",),
        (r"NAME", r"\btorch=="),
    ),
    "vLLM with another torch than it pins": (
        (
            "ImportError: /opt/v/lib/python3.12/site-packages/vllm/_C.abi3.so: undefined symbol: _ZN3c104cuda9SetDeviceEab\n"
            "[pip3] torch==2.13.0\n[pip3] vllm==0.10.2"
        ),
        "extension-abi-mismatch",
        (r"uv venv", r"vllm==0\.10\.2 --torch-backend=auto", r"pins, 2\.8\.0"),
        (r"\btorch==", r"--no-binary"),
    ),
    "vLLM's own image": (
        (
            "docker run --gpus all vllm/vllm-openai:latest\n"
            "ImportError: /usr/local/lib/python3.12/dist-packages/vllm/_C.abi3.so: undefined symbol: _ZN3c104cuda9SetDeviceEab"
        ),
        "extension-abi-mismatch",
        (r"image",),
        (r"install",),
    ),
    "torchcodec": (
        "OSError: /e/lib/python3.12/site-packages/torchcodec/libtorchcodec_core7.so: undefined symbol: aoti_torch_abi_version",
        "extension-abi-mismatch",
        (r"pip show torch torchcodec",),
        (r"NAME", r"install"),
    ),
    "triton on Windows": (
        f"Windows 11, torch 2.8.0+cu128, RTX 4080\n{NO_TRITON}",
        "triton-problem",
        (r"triton-windows==3\.4\.\*",),
        (r"install triton\b(?!-)",),
    ),
    "triton on Windows for a torch from before its port": (
        f"Windows 10, torch 2.4.1+cu121\n{NO_TRITON}",
        "triton-problem",
        (r"triton-windows",),
        (r"install",),
    ),
    "triton of the torch that is there": (
        f"torch 2.7.1+cu126 on Ubuntu 22.04\n{NO_TRITON}",
        "triton-problem",
        (r"triton==3\.3\.1",),
        (),
    ),
    "triton, torch unknown": (NO_TRITON, "triton-problem", (r"requires\('torch'\)",), (r"install",)),
    "a ptxas that is too old": (
        f"{PTXAS}\nNVIDIA B300, torch 2.8.0+cu128, triton 3.4.0",
        "triton-problem",
        (r"CUDA 12\.9 or newer", r"export TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas"),
        (r"install triton",),
    ),
    "an image with driver libraries of its own": (
        f"inside the container (docker run --gpus all mine):\n{MISMATCH}\nNVML library version: 575.57",
        "driver-library-mismatch",
        (r"from the image", r"dpkg -l"),
        (r"reboot", r"rmmod", r"modprobe"),
    ),
    "a host after an update": (MISMATCH, "driver-library-mismatch", (r"sudo reboot",), ()),
    "open modules wanted, distribution unknown": (
        f"{OPEN}\nGeForce RTX 5070",
        "driver-flavour-mismatch",
        (r"open kernel modules", r"nvidia-driver-\d+-open"),
        (),
    ),
    "open modules wanted on Ubuntu": (
        f"Ubuntu 24.04\n{OPEN}\nGeForce RTX 5070",
        "driver-flavour-mismatch",
        (r"install -y nvidia-driver-\d+-open",),
        (),
    ),
    "open modules wanted on NixOS": (
        f"NixOS 25.05\n{OPEN}",
        "driver-flavour-mismatch",
        (r"hardware\.nvidia\.open = true",),
        (r"sudo",),
    ),
    "proprietary modules wanted": (
        f"{PROPRIETARY}\nTesla P40",
        "driver-flavour-mismatch",
        (r"proprietary",),
        (r"-open",),
    ),
    "an old pin on a new Python": (
        "Python 3.12.3\nERROR: Could not find a version that satisfies the requirement torch==1.9.1 (from versions: 2.2.0)",
        "python-unsupported",
        (r"uv venv --python 3\.9", r"torch==1\.9\.1"),
        (),
    ),
    "an old pin of an index": (
        "Python 3.12.3 on Windows 11\nERROR: No matching distribution found for torch==2.0.1+cu118",
        "python-unsupported",
        (r"uv venv --python 3\.11", rf"torch==2\.0\.1\+cu118 --index-url {INDEX}/cu118"),
        (),
    ),
    "Fabric Manager of another version": (
        "Ubuntu 22.04\nfabric manager NVIDIA GPU driver interface version 570.124.06 don't match with driver version 570.133.20.",
        "fabric-manager-down",
        (r"'nvidia-fabricmanager-570=570\.133\.20\*'",),
        (r"570\.124\.06",),
    ),
    "Fabric Manager, distribution unknown": (
        "fabric manager NVIDIA GPU driver interface version 570.124.06 don't match with driver version 570.133.20.",
        "fabric-manager-down",
        (r"570\.133\.20",),
        (r"570\.124\.06",),
    ),
    "another NCCL than torch pins": (
        (
            "ImportError: /e/lib/python3.11/site-packages/torch/lib/libtorch_cuda.so: undefined symbol: ncclCommWindowRegister\n"
            "torch                    2.8.0\nnvidia-nccl-cu12         2.21.5"
        ),
        "nvidia-wheels-mismatch",
        (r"nvidia-nccl-cu12==2\.27\.3",),
        (),
    ),
    "no right to the nodes": (
        "Failed to initialize NVML: Insufficient Permissions",
        "device-permission",
        (r"\bvideo\b", r"\brender\b", r"usermod -aG"),
        (r"chmod 0?777",),
    ),
    "no right to the nodes, their group shown": (
        "Failed to initialize NVML: Insufficient Permissions\ncrw-rw---- 1 root gpuusers 195, 0 May  3 10:11 /dev/nvidia0",
        "device-permission",
        (r"usermod -aG gpuusers",),
        (),
    ),
    "AMD on Linux": (
        f"Ubuntu 24.04, Radeon RX 7800 XT\n{NO_CUDA}",
        "torch-cpu-only",
        (rf"{INDEX}/rocm\d",),
        (r"whl/cu",),
    ),
    "AMD on Windows": (
        f"Windows 11, Radeon RX 6700 XT\n{NO_CUDA}",
        "torch-cpu-only",
        (r"AMD",),
        (r"whl/cu", r"whl/rocm"),
    ),
    "Intel's Arc": (
        f"Windows 11 with an Intel Arc B580\n{NO_CUDA}",
        "torch-cpu-only",
        (rf"{INDEX}/xpu",),
        (r"whl/cu",),
    ),
    "a laptop with an AMD processor's graphics and a GeForce": (
        f"Windows 11, AMD Radeon Graphics, NVIDIA GeForce RTX 4060, driver 566.36\n{NO_CUDA}",
        "torch-cpu-only",
        (rf"{INDEX}/cu12\d",),
        (r"rocm",),
    ),
    "a CPU build, GPU and driver known": (
        f"Windows 11, RTX 4070, driver 572.83, torch 2.8.0+cpu\n{NO_CUDA}",
        "torch-cpu-only",
        (r"uninstall -y torch", rf"torch==2\.8\.0 .*{INDEX}/cu12\d"),
        (r"whl/cu13",),
    ),
    "a CPU build, nothing known": (NO_CUDA, "torch-cpu-only", (r"nvidia-smi --query-gpu",), (r"install",)),
    "a program that wants another cuDNN than torch's": (
        (
            "torch 2.6.0, faster-whisper 1.0.3\nCould not load library libcudnn_cnn_infer.so.8. Error: libcudnn_cnn_infer.so.8: "
            "cannot open shared object file: No such file or directory"
        ),
        "cudnn-missing",
        (r"--upgrade ctranslate2", r"nvidia-cudnn-cu12==8\.\*"),
        (r"\btorch\b",),
    ),
    "cuDNN 8 for a program that nothing names": (
        "Could not load library libcudnn_ops_infer.so.8. Error: libcudnn_ops_infer.so.8: cannot open shared object file",
        "cudnn-missing",
        (r"nvidia-cudnn-cu12==8\.\*",),
        (r"\btorch\b",),
    ),
    "a driver whose version no table has": (
        "UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version 5050).",
        "driver-too-old",
        (r"driver",),
        (r"install torch",),
    ),
    "an extension's library named after the package": (
        (
            "ImportError: /e/lib/python3.11/site-packages/exllamav3_ext.cpython-311-x86_64-linux-gnu.so: undefined symbol: "
            "_ZNK3c106SymInt6sym_neERKS0_"
        ),
        "extension-abi-mismatch",
        (r"exllamav3\b",),
        (r"exllamav3-ext", r"NAME"),
    ),
    "podman and CDI": (
        (
            "$ podman run --device nvidia.com/gpu=all localhost/mine\nError: setting up CDI devices: unresolvable CDI devices "
            "nvidia.com/gpu=all"
        ),
        "container-no-gpu",
        (r"nvidia-ctk cdi generate", r"podman run"),
        (r"docker run",),
    ),
    "a pod": (
        "kubectl logs nvidia-device-plugin-daemonset-x7\nFailed to start nvml with error: could not load NVML library",
        "container-no-gpu",
        (r"nvidia\.com/gpu: 1",),
        (r"--gpus all IMAGE",),
    ),
    "an Intel Mac": (
        "uv: torch==2.7.0 has no wheels with a matching platform tag (e.g., `macosx_14_0_x86_64`)",
        "platform-unsupported",
        (r"torch==2\.2\.2",),
        (),
    ),
    "a Jetson with pip's CPU build": (
        (
            "PyTorch version: 2.8.0+cpu\nOS: Ubuntu 22.04.4 LTS (aarch64)\n"
            "Python platform: Linux-5.15.148-tegra-aarch64-with-glibc2.35\nIs CUDA available: False\n"
            f"GPU models and configuration: GPU 0: Xavier (nvgpu)\n{NO_CUDA}"
        ),
        "torch-cpu-only",
        (r"JetPack",),
        (r"install",),
    ),
    "pip's conflict names the torch that is there": (
        "torchvision 0.17.1 requires torch==2.2.1, but you have torch 2.4.0 which is incompatible.",
        "torchvision-mismatch",
        (r"torchvision==0\.19\.0",),
        (r"\btorch==",),
    ),
    "a module that was not built for this kernel": (
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n"
            "modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.8.0-52-generic\nDKMS is used, Ubuntu 24.04"
        ),
        "driver-not-loaded",
        (r"dkms autoinstall",),
        (),
    ),
    "bitsandbytes without code for the GPU": (
        (
            "Tesla P40, torch 2.5.1+cu121\n"
            '  File "/e/lib/python3.11/site-packages/bitsandbytes/functional.py", line 1102, in gemm\n'
            "Error no kernel image is available for execution on the device at line 380 in file /src/csrc/ops.cu"
        ),
        "extension-arch-missing",
        (r"bitsandbytes",),
        (r"--no-binary", r"\btorch==", r"NAME"),
    ),
    "a toolkit for a torch that is not known": (
        (
            "RuntimeError: The detected CUDA version (11.8) mismatches the version that was used to compile PyTorch. "
            "Please make sure to use the same CUDA versions."
        ),
        "toolkit-mismatch",
        (r"torch\.version\.cuda",),
        (r"VERSION",),
    ),
    "no code for a new GPU, conda's torch": (
        (
            "RTX 5090 on Ubuntu 24.04\n# packages in environment at /home/u/miniconda3/envs/t:\n"
            "pytorch                   2.5.1           py3.11_cuda12.4_cudnn9.1.0_0    pytorch\n"
            f"python                    3.11.9               h955ad1f_0\n{NO_IMAGE}"
        ),
        "gpu-arch-too-new-for-torch",
        (r"conda remove.*pytorch", r"pip install torch=="),
        (r"cu126",),
    ),
    "no code for a new GPU, uv's environment": (
        f"RTX 5090, torch 2.5.1+cu124, installed by `uv pip install torch`\nuv run train.py\n{NO_IMAGE}",
        "gpu-arch-too-new-for-torch",
        (r"uv pip install torch==",),
        (r"-m pip install",),
    ),
    "no code for a new GPU, vLLM pins torch": (
        f"NVIDIA B300\n[pip3] torch==2.7.1\n[pip3] vllm==0.10.0\nPyTorch version: 2.7.1+cu126\n{NO_IMAGE}",
        "gpu-arch-too-new-for-torch",
        (r"vllm",),
        (r"install torch==",),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_repair_is_this_persons(name: str) -> None:
    text, cause, said_patterns, forbidden = CASES[name]
    first, commands, said = printed(text)
    assert first.code == cause, [f.code for f in causes(text)]
    for pattern in said_patterns:
        assert re.search(pattern, said), (pattern, said)
    for pattern in forbidden:
        assert not re.search(pattern, commands), (pattern, commands)


def decided(text: str, answer: str) -> str | None:
    primary = judged(f"{text}\n{answer}").primary
    return primary.code if primary else None


ASKED = (
    'python -c "import torch; print(torch.__version__, torch.cuda.get_arch_list(), torch.cuda.get_device_capability())"'
)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("2.12.0+cu130 ['sm_75', 'sm_80', 'sm_86', 'sm_90', 'sm_100', 'sm_120'] (6, 1)", "gpu-arch-too-old-for-torch"),
        (
            "2.5.1+cu121 ['sm_50', 'sm_60', 'sm_70', 'sm_75', 'sm_80', 'sm_86', 'sm_90'] (12, 0)",
            "gpu-arch-too-new-for-torch",
        ),
        (
            "2.5.1+cu121 ['sm_50', 'sm_60', 'sm_70', 'sm_75', 'sm_80', 'sm_86', 'sm_90'] (8, 6)",
            "extension-arch-missing",
        ),
    ],
)
@pytest.mark.parametrize("shown", [True, False])
def test_no_kernel_image_alone_asks_and_the_answer_decides(answer: str, cause: str, shown: bool) -> None:
    first, commands, _ = printed(NO_IMAGE)
    assert first.fixes[0].commands == (ASKED,) and commands.startswith(ASKED)
    assert decided(NO_IMAGE, f"$ {ASKED}\n{answer}" if shown else answer) == cause


def test_nothing_is_asked_where_the_text_has_the_answer() -> None:
    text = f"{NO_IMAGE}\nTesla V100 with torch 2.12.0+cu130"
    first, commands, _ = printed(text)
    assert first.code == "gpu-arch-too-old-for-torch" and ASKED not in commands


def test_a_surer_cause_is_not_asked_about() -> None:
    _, commands, _ = printed(MISMATCH)
    assert "collect_env" not in commands


def test_the_build_of_torch_that_pip_shows_decides_the_repair() -> None:
    text = f"{IMPORTING}{CUDNN}"
    assert "pip show torch" in printed(text)[1]
    answer = (
        "Name: torch\nVersion: 2.9.1+cu126\nSummary: Tensors and Dynamic neural networks\nRequires: filelock, triton"
    )
    assert "nvidia-cudnn-cu12==9" in printed(f"{text}\n{answer}")[1]
