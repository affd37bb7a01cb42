"""What people paste from a shell, a Python prompt or the kernel's log."""

from __future__ import annotations

import pytest

from envdoctor.errors import InputError
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import Driver, KernelModule
from envdoctor.facts.sections.host import Host, LinuxDistribution, LogLine
from envdoctor.facts.sections.interpreter import Torch
from envdoctor.reading.dumps import read


def torch_of(snapshot: Snapshot) -> Torch:
    assert snapshot.torch is not None
    return snapshot.torch


def test_a_python_prompt() -> None:
    snapshot = read("""\
Python 3.9.7 (default, Sep 16 2021, 13:09:58)
[GCC 7.5.0] :: Anaconda, Inc. on linux
Type "help", "copyright", "credits" or "license" for more information.
>>> import torch
>>> torch.__version__
'1.10.0'
>>> torch.cuda.is_available()
False
>>> print(torch.version.cuda)
10.2
""")
    torch = torch_of(snapshot)
    assert snapshot.source == "python session"
    assert (torch.version, torch.build, torch.cuda) == ("1.10.0", "cuda", "10.2")
    assert torch.run is not None
    assert torch.run.cuda_available is False
    assert snapshot.interpreter is not None
    assert snapshot.interpreter.version == "3.9.7"


def test_a_notebook() -> None:
    torch = torch_of(
        read("In [2]: torch.__version__\nOut[2]: '2.6.0+cu124'\n\nIn [3]: torch.cuda.is_available()\nOut[3]: True")
    )
    assert (torch.version, torch.cuda) == ("2.6.0+cu124", "12.4")


def test_one_print_of_several_answers() -> None:
    code = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())"
    torch = torch_of(read(f'$ python -c "{code}"\n2.3.0 None False\n'))
    assert (torch.version, torch.build) == ("2.3.0", "cpu")
    assert torch.run is not None
    assert torch.run.cuda_available is False


def test_one_print_a_line() -> None:
    torch = torch_of(
        read("python -c 'import torch; print(torch.__version__); print(torch.version.cuda)'\n2.3.0+cu118\n11.8\n")
    )
    assert (torch.version, torch.cuda) == ("2.3.0+cu118", "11.8")


def test_a_traceback_is_not_an_answer() -> None:
    with pytest.raises(InputError):
        read(">>> torch.__version__\nTraceback (most recent call last):\nNameError: name 'torch' is not defined\n")


def test_system_commands() -> None:
    snapshot = read("""\
$ uname -a
Linux gpubox 6.1.0-21-amd64 #1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1 (2024-05-03) x86_64 GNU/Linux
$ cat /etc/os-release
PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
$ ldd --version
ldd (Debian GLIBC 2.36-9+deb12u7) 2.36
$ gcc --version
gcc (Debian 12.2.0-14) 12.2.0
$ nvcc --version
nvcc: NVIDIA (R) Cuda compiler driver
Copyright (c) 2005-2022 NVIDIA Corporation
Built on Wed_Sep_21_10:33:58_PDT_2022
Cuda compilation tools, release 11.8, V11.8.89
Build cuda_11.8.r11.8/compiler.31833905_0
""")
    assert snapshot.host == Host(
        system="Linux",
        architecture="x86_64",
        kernel="6.1.0-21-amd64",
        glibc="2.36",
        wsl=0,
        os_name="Debian GNU/Linux 12 (bookworm)",
        distribution=LinuxDistribution(
            id="debian", version_id="12", codename="bookworm", name="Debian GNU/Linux 12 (bookworm)"
        ),
    )
    assert snapshot.toolkit is not None
    assert snapshot.toolkit.nvcc is not None
    assert [(nvcc.path, nvcc.version) for nvcc in snapshot.toolkit.nvcc] == [("nvcc", "11.8.89")]
    assert snapshot.toolkit.compilers is not None
    assert [(compiler.name, compiler.version) for compiler in snapshot.toolkit.compilers] == [("gcc", "12.2.0")]


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        (
            "$ echo $LD_LIBRARY_PATH\n/usr/local/cuda/lib64:/opt/lib\n",
            "LD_LIBRARY_PATH",
            "/usr/local/cuda/lib64:/opt/lib",
        ),
        ("export CUDA_VISIBLE_DEVICES=0,1\n", "CUDA_VISIBLE_DEVICES", "0,1"),
        ('export CUDA_VISIBLE_DEVICES=""\n', "CUDA_VISIBLE_DEVICES", ""),
        ("CUDA_VISIBLE_DEVICES=7 python train.py --lr 0.1\n", "CUDA_VISIBLE_DEVICES", "7"),
        ("NVIDIA_VISIBLE_DEVICES=void\n", "NVIDIA_VISIBLE_DEVICES", "void"),
    ],
)
def test_environment_variables(text: str, name: str, value: str) -> None:
    snapshot = read(text)
    assert snapshot.environment == {name: value}
    assert snapshot.environment_complete is False


def test_a_value_with_other_variables_in_it_is_not_known() -> None:
    with pytest.raises(InputError):
        read("export LD_LIBRARY_PATH=/usr/local/cuda/lib64:$LD_LIBRARY_PATH\n")


@pytest.mark.parametrize(
    ("line", "version", "flavour"),
    [
        (
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024",
            "535.183.01",
            "proprietary",
        ),
        (
            "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (builder)",
            "580.95.05",
            "open",
        ),
    ],
)
def test_the_loaded_kernel_module(line: str, version: str, flavour: str) -> None:
    snapshot = read(line)
    assert snapshot.driver == Driver(module=KernelModule(loaded=True, version=version, flavour=flavour))
    assert snapshot.driver_version == version


def test_the_kernels_log() -> None:
    snapshot = read(
        "[  812.1] NVRM: Xid (PCI:0000:65:00): 79, pid=4242, GPU has fallen off the bus.\n[  812.2] other: nothing\n"
    )
    assert snapshot.logs is not None
    assert snapshot.logs.readable is None  # an excerpt
    assert snapshot.logs.lines == (
        LogLine(
            text="[  812.1] NVRM: Xid (PCI:0000:65:00): 79, pid=4242, GPU has fallen off the bus.",
            xid=79,
            pci="0000:65:00.0",
        ),
    )


def test_torchs_warnings_state_facts() -> None:
    snapshot = read("""\
/venv/lib/python3.10/site-packages/torch/cuda/__init__.py:146: UserWarning:
NVIDIA L40S with CUDA capability sm_89 is not compatible with the current PyTorch installation.
The current PyTorch install supports CUDA capabilities sm_37 sm_50 sm_60 sm_70 compute_70.
""")
    torch = torch_of(snapshot)
    assert torch.arch_flags == ("sm_37", "sm_50", "sm_60", "sm_70", "compute_70")
    assert torch.run is not None
    assert torch.run.devices is not None
    assert [(d.name, d.compute_capability) for d in torch.run.devices] == [("NVIDIA L40S", "8.9")]
    assert len(snapshot.messages) == 3


def test_the_newer_wordings_of_that_warning() -> None:
    torch = torch_of(
        read("""\
UserWarning: Found GPU1 Tesla P100-PCIE-16GB which is of compute capability (CC) 6.0.
The following list shows the CCs this version of PyTorch was built for and the hardware CCs it supports:
- 7.5 which supports hardware CC >=7.5,<8.0
- 12.0 which supports hardware CC >=12.0,<13.0
""")
    )
    assert torch.arch_flags == ("sm_75", "sm_120")
    assert torch.run is not None
    assert torch.run.devices is not None
    assert [(d.index, d.name, d.compute_capability) for d in torch.run.devices] == [(1, "Tesla P100-PCIE-16GB", "6.0")]


@pytest.mark.parametrize(("number", "version"), [("9010", "9.1"), ("11040", "11.4"), ("12080", "12.8")])
def test_the_cuda_version_in_the_complaint_about_an_old_driver(number: str, version: str) -> None:
    snapshot = read(
        f"UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version {number})."
    )
    assert snapshot.cuda_driver is not None
    assert snapshot.cuda_driver.version == version


def test_torch_that_finds_no_driver() -> None:
    snapshot = read(
        "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver"
    )
    assert snapshot.cuda_driver is not None
    assert snapshot.cuda_driver.library_missing is True


def test_torch_that_says_it_has_no_cuda() -> None:
    assert torch_of(read("AssertionError: Torch not compiled with CUDA enabled")).build == "cpu"
    assert torch_of(read("PyTorch: 2.1.0+xpu\nAssertionError: Torch not compiled with CUDA enabled")).build == "xpu"


def test_the_architectures_that_a_prompt_shows() -> None:
    torch = torch_of(read(">>> torch.cuda.get_arch_list()\n['sm_50', 'sm_80', 'sm_90a', 'compute_90']\n"))
    assert torch.arch_flags == ("sm_50", "sm_80", "sm_90a", "compute_90")


def test_the_banner_of_ultralytics() -> None:
    snapshot = read("Ultralytics 8.3.40 \U0001f680 Python-3.11.10 torch-2.5.1+cu124 CUDA:0 (NVIDIA L4, 22700MiB)\n")
    torch = torch_of(snapshot)
    assert snapshot.source == "banner"
    assert (torch.version, torch.cuda) == ("2.5.1+cu124", "12.4")
    assert torch.run is not None
    assert torch.run.devices is not None
    assert (torch.run.cuda_available, torch.run.devices[0].name) == (True, "NVIDIA L4")
    torch = torch_of(read("YOLOv5 \U0001f680 v6.0 torch 1.10.0+cpu CPU\n"))
    assert torch.build == "cpu"


LSPCI = """\
17:00.0 VGA compatible controller [0300]: NVIDIA Corporation AD102 [GeForce RTX 4090] [10de:2684] (rev a1)
\tSubsystem: ASUSTeK Computer Inc. Device [1043:889f]
\tKernel driver in use: nvidia
\tKernel modules: nvidiafb, nouveau, nvidia
17:00.1 Audio device [0403]: NVIDIA Corporation AD102 High Definition Audio Controller [10de:22ba] (rev a1)
0000:28:00.0 3D controller [0302]: NVIDIA Corporation GA100 [A100 PCIe 40GB] [10de:20f1] (rev a1)
\tSubsystem: NVIDIA Corporation Device [10de:145f]
\tKernel modules: nvidiafb, nouveau
41:00.0 3D controller [0302]: NVIDIA Corporation GA100 [A100 PCIe 40GB] [10de:20f1] (rev a1)
"""


def test_lspci_shows_the_gpus_and_the_drivers_bound_to_them() -> None:
    found = [(d.address, d.device, d.driver) for d in read(LSPCI).nvidia_devices or ()]
    assert found == [
        ("0000:17:00.0", "2684", "nvidia"),
        ("0000:28:00.0", "20f1", ""),  # what could drive it is listed, and nothing does
        ("0000:41:00.0", "20f1", None),  # without -k nothing is known
    ]


def test_a_bus_without_nvidia_devices_in_an_excerpt_stays_unknown() -> None:
    other = "03:00.0 VGA compatible controller [0300]: Advanced Micro Devices [AMD/ATI] Navi 31 [1002:744c] (rev c8)\n"
    assert read(other + "Python 3.12.3\n>>> import torch\n>>> torch.__version__\n'2.8.0'\n").pci is None


def test_how_many_gpus_torch_counts() -> None:
    run = torch_of(read(">>> import torch\n>>> torch.__version__\n'2.8.0'\n>>> torch.cuda.is_available()\nTrue\n"
                        ">>> torch.cuda.device_count()\n3\n")).run  # fmt: skip
    assert run is not None and run.device_count == 3
