"""Which environment variables a Snapshot keeps."""

from __future__ import annotations

import pytest

from envdoctor.facts.host import Machine
from envdoctor.facts.probes import environment


def kept(**variables: str) -> dict[str, str]:
    return environment.probe(Machine(environment=variables))


@pytest.mark.parametrize(
    "name",
    [
        "CUDA_VISIBLE_DEVICES",
        "CUDA_HOME",
        "CUDA_LAUNCH_BLOCKING",
        "NVIDIA_VISIBLE_DEVICES",
        "NVIDIA_DRIVER_CAPABILITIES",
        "NVIDIA_TF32_OVERRIDE",
        "NCCL_SOCKET_IFNAME",
        "TORCH_CUDA_ARCH_LIST",
        "PYTORCH_CUDA_ALLOC_CONF",
        "PYTORCH_NVML_BASED_CUDA_CHECK",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONNOUSERSITE",
        "VIRTUAL_ENV",
        "CONDA_PREFIX",
        "CONDA_OVERRIDE_CUDA",
        "PATH",
        "OMP_NUM_THREADS",
        "KMP_DUPLICATE_LIB_OK",
        "MKL_THREADING_LAYER",
        "CUBLAS_WORKSPACE_CONFIG",
        "CC",
        "CUDAHOSTCXX",
        "NVCC_CCBIN",
        "SLURM_JOB_ID",
        "WSL_DISTRO_NAME",
        "PIP_INDEX_URL",
        "UV_TORCH_BACKEND",
    ],
)
def test_what_steers_cuda_python_or_the_loader_is_kept(name: str) -> None:
    assert kept(**{name: "0"}) == {name: "0"}


@pytest.mark.parametrize(
    "name",
    [
        "HOME",
        "USER",
        "SSH_AUTH_SOCK",
        "AWS_SECRET_ACCESS_KEY",
        "HF_TOKEN",
        "PIP_TOKEN",
        "UV_INDEX_CORP_PASSWORD",
        "NVIDIA_API_KEY",
        "SLURM_JOB_ACCOUNT",
    ],
)
def test_what_is_private_or_does_not_matter_is_left_out(name: str) -> None:
    assert kept(**{name: "x"}) == {}


def test_a_password_in_an_index_url_never_enters_a_snapshot() -> None:
    assert kept(
        PIP_INDEX_URL="https://me:s3cret@pypi.corp/simple", UV_INDEX="a=https://t0ken@x.y/simple b=https://z/"
    ) == {
        "PIP_INDEX_URL": "https://<credentials>@pypi.corp/simple",
        "UV_INDEX": "a=https://<credentials>@x.y/simple b=https://z/",
    }


def test_an_empty_value_is_set_all_the_same() -> None:
    assert kept(CUDA_VISIBLE_DEVICES="") == {"CUDA_VISIBLE_DEVICES": ""}
