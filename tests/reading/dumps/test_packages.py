"""Pasted package lists."""

from __future__ import annotations

import pytest

from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import CondaPackage, Distribution, Interpreter
from envdoctor.reading.dumps import read

PIP = """\
(venv) someone@box:~$ pip list
Package                  Version
------------------------ ------------
certifi                  2024.7.4
filelock                 3.15.4
numpy                    2.0.1
nvidia-cudnn-cu12        9.1.0.70
pip                      24.2
torch                    2.4.0
torchvision              0.18.1+cu121
my_package               0.1          /home/someone/src/my_package
wheel                    0.44.0
"""


def interpreter_of(snapshot: Snapshot) -> Interpreter:
    assert snapshot.interpreter is not None
    return snapshot.interpreter


def test_pip_list() -> None:
    snapshot = read(PIP)
    interpreter = interpreter_of(snapshot)
    assert snapshot.source == "pip list"
    assert interpreter.distribution("torchvision") == Distribution(name="torchvision", version="0.18.1+cu121")
    assert interpreter.distribution("my-package") == Distribution(name="my-package", version="0.1")
    assert interpreter.torch_installed is True
    assert snapshot.torch is not None
    assert (snapshot.torch.version, snapshot.torch.run) == ("2.4.0", None)


def test_a_sorted_list_that_passes_torchs_place_shows_that_it_is_missing() -> None:
    without = PIP.replace("torch                    2.4.0\n", "").replace("torchvision              0.18.1+cu121\n", "")
    without = without.replace("my_package               0.1          /home/someone/src/my_package\n", "")
    assert interpreter_of(read(without)).torch_installed is False
    cut = without[: without.index("pip                      24.2")]
    assert interpreter_of(read(cut)).torch_installed is None


def test_pip_freeze() -> None:
    interpreter = interpreter_of(
        read("""\
absl-py==2.1.0
torch==2.4.0+cu121
torchvision @ file:///tmp/torchvision-0.19.0%2Bcu121-cp310-cp310-linux_x86_64.whl#sha256=00
-e git+https://example.org/x.git@abc#egg=x
numpy==1.26.4 ; python_version >= "3.9"
""")
    )
    assert interpreter.distributions is not None
    assert [(d.name, d.version) for d in interpreter.distributions] == [
        ("absl-py", "2.1.0"),
        ("torch", "2.4.0+cu121"),
        ("torchvision", None),
        ("numpy", "1.26.4"),
    ]


def test_conda_list() -> None:
    interpreter = interpreter_of(
        read("""\
# packages in environment at /home/someone/miniconda3/envs/dl:
#
# Name                    Version                   Build  Channel
_libgcc_mutex             0.1                        main
cudatoolkit               11.3.1               h2bc3f7f_2
pytorch                   1.12.1          py3.10_cuda11.3_cudnn8.3.2_0    pytorch
torchvision               0.13.1              py310_cu113    pytorch
tqdm                      4.64.0                   pypi_0    pypi
""")
    )
    assert interpreter.prefix == "/home/someone/miniconda3/envs/dl"
    assert interpreter.conda_packages == (
        CondaPackage(name="_libgcc_mutex", version="0.1", build="main"),
        CondaPackage(name="cudatoolkit", version="11.3.1", build="h2bc3f7f_2"),
        CondaPackage(name="pytorch", version="1.12.1", build="py3.10_cuda11.3_cudnn8.3.2_0", channel="pytorch"),
        CondaPackage(name="torchvision", version="0.13.1", build="py310_cu113", channel="pytorch"),
        CondaPackage(name="tqdm", version="4.64.0", build="pypi_0", channel="pypi"),
    )
    assert interpreter.torch is not None
    assert (interpreter.torch.version, interpreter.torch.build, interpreter.torch.cuda) == ("1.12.1", "cuda", "11.3")
    assert interpreter.torch.cudnn_built == "8.3.2"
    assert interpreter.duplicates is None


@pytest.mark.parametrize(
    ("build", "kind", "cuda"),
    [
        ("py3.9_cuda11.7_cudnn8.5.0_0", "cuda", "11.7"),
        ("cuda118py310h1234567_200", "cuda", "11.8"),
        ("cuda126_mkl_py312_h01_300", "cuda", "12.6"),
        ("gpu_cuda118py311h0_0", "cuda", "11.8"),
        ("cpu_py39hab5cca8_0", "cpu", None),
        ("py3.8_cpu_0", "cpu", None),
        ("h0123456_0", None, None),
    ],
)
def test_condas_build_strings(build: str, kind: str | None, cuda: str | None) -> None:
    torch = read(f"[conda] pytorch  2.0.1  {build}  somewhere\n").torch
    assert torch is not None
    assert (torch.version, torch.build, torch.cuda) == ("2.0.1", kind, cuda)


def test_features_and_pips_packages_in_condas_list() -> None:
    interpreter = interpreter_of(
        read("""\
[conda] pytorch                   1.4.0               py3.8_cpu_0  [cpuonly]  pytorch
[conda] torch                     1.6.0                     <pip>
[conda] mkl_fft
""")
    )
    assert interpreter.conda_packages == (
        CondaPackage(name="pytorch", version="1.4.0", build="py3.8_cpu_0", channel="pytorch"),
        CondaPackage(name="torch", version="1.6.0", channel="pypi"),
    )


def test_a_command_that_installs_is_no_list() -> None:
    snapshot = read(
        PIP + "\n$ pip install torch==1.13.1 torchvision==0.14.1\nRequirement already satisfied: torch==1.13.1\n"
    )
    assert snapshot.torch is not None
    assert snapshot.torch.version == "2.4.0"
