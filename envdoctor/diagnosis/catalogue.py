"""The one ordered list of diagnoses, nearest the metal first. To add one: write its file, and add it here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from envdoctor.diagnosis.model import Diagnosis
from envdoctor.errors import InputError
from envdoctor.reading.messages.message import Message


@cache
def all_diagnoses() -> tuple[Diagnosis, ...]:  # noqa: PLR0915  one import a diagnosis
    """Every diagnosis, in the order in which findings of equal severity are reported."""
    # Imported here, not above: `check` needs them all, other commands none.
    from envdoctor.diagnosis.container.container_gpu_detached import container_gpu_detached
    from envdoctor.diagnosis.container.container_no_gpu import container_no_gpu
    from envdoctor.diagnosis.container.shm_too_small import shm_too_small
    from envdoctor.diagnosis.container.wsl_driver_problem import wsl_driver_problem
    from envdoctor.diagnosis.driver.driver_flavour_mismatch import driver_flavour_mismatch
    from envdoctor.diagnosis.driver.driver_library_mismatch import driver_library_mismatch
    from envdoctor.diagnosis.driver.driver_missing import driver_missing
    from envdoctor.diagnosis.driver.driver_not_loaded import driver_not_loaded
    from envdoctor.diagnosis.driver.driver_too_old import driver_too_old
    from envdoctor.diagnosis.driver.driver_too_old_for_gpu import driver_too_old_for_gpu
    from envdoctor.diagnosis.driver.fabric_manager_down import fabric_manager_down
    from envdoctor.diagnosis.driver.forward_compat_broken import forward_compat_broken
    from envdoctor.diagnosis.driver.gpu_legacy_driver_dropped import gpu_legacy_driver_dropped
    from envdoctor.diagnosis.driver.uvm_broken import uvm_broken
    from envdoctor.diagnosis.environment.expandable_segments_unsupported import expandable_segments_unsupported
    from envdoctor.diagnosis.environment.visible_devices_hidden import visible_devices_hidden
    from envdoctor.diagnosis.gpu.device_busy_or_exclusive import device_busy_or_exclusive
    from envdoctor.diagnosis.gpu.device_permission import device_permission
    from envdoctor.diagnosis.gpu.gpu_degraded import gpu_degraded
    from envdoctor.diagnosis.gpu.gpu_hw_fault import gpu_hw_fault
    from envdoctor.diagnosis.gpu.gpu_lost import gpu_lost
    from envdoctor.diagnosis.gpu.mig_misconfigured import mig_misconfigured
    from envdoctor.diagnosis.gpu.out_of_memory import out_of_memory
    from envdoctor.diagnosis.host.glibc_too_old import glibc_too_old
    from envdoctor.diagnosis.host.platform_unsupported import platform_unsupported
    from envdoctor.diagnosis.libraries.companion_cuda_mismatch import companion_cuda_mismatch
    from envdoctor.diagnosis.libraries.cudnn_missing import cudnn_missing
    from envdoctor.diagnosis.libraries.cudnn_shadowed import cudnn_shadowed
    from envdoctor.diagnosis.libraries.cudnn_version_mismatch import cudnn_version_mismatch
    from envdoctor.diagnosis.libraries.library_path_conflict import library_path_conflict
    from envdoctor.diagnosis.libraries.mkl_mismatch import mkl_mismatch
    from envdoctor.diagnosis.libraries.nvidia_wheels_mismatch import nvidia_wheels_mismatch
    from envdoctor.diagnosis.libraries.openmp_duplicate import openmp_duplicate
    from envdoctor.diagnosis.libraries.windows_dll_missing import windows_dll_missing
    from envdoctor.diagnosis.multi_gpu.nccl_problem import nccl_problem
    from envdoctor.diagnosis.python.module_shadowed import module_shadowed
    from envdoctor.diagnosis.python.numpy_abi_mismatch import numpy_abi_mismatch
    from envdoctor.diagnosis.python.python_unsupported import python_unsupported
    from envdoctor.diagnosis.python.wheel_index_missing import wheel_index_missing
    from envdoctor.diagnosis.pytorch.extension_abi_mismatch import extension_abi_mismatch
    from envdoctor.diagnosis.pytorch.extension_arch_missing import extension_arch_missing
    from envdoctor.diagnosis.pytorch.gpu_arch_too_new_for_torch import gpu_arch_too_new_for_torch
    from envdoctor.diagnosis.pytorch.gpu_arch_too_old_for_torch import gpu_arch_too_old_for_torch
    from envdoctor.diagnosis.pytorch.torch_cpu_only import torch_cpu_only
    from envdoctor.diagnosis.pytorch.torch_duplicate_install import torch_duplicate_install
    from envdoctor.diagnosis.pytorch.torch_failure_unexplained import torch_failure_unexplained
    from envdoctor.diagnosis.pytorch.torch_install_corrupt import torch_install_corrupt
    from envdoctor.diagnosis.pytorch.torch_missing import torch_missing
    from envdoctor.diagnosis.pytorch.torch_too_old_for_package import torch_too_old_for_package
    from envdoctor.diagnosis.pytorch.torchaudio_mismatch import torchaudio_mismatch
    from envdoctor.diagnosis.pytorch.torchvision_mismatch import torchvision_mismatch
    from envdoctor.diagnosis.pytorch.triton_problem import triton_problem
    from envdoctor.diagnosis.toolkit.host_compiler_unsupported import host_compiler_unsupported
    from envdoctor.diagnosis.toolkit.toolkit_mismatch import toolkit_mismatch
    from envdoctor.diagnosis.toolkit.toolkit_missing import toolkit_missing
    from envdoctor.diagnosis.toolkit.toolkit_multiple import toolkit_multiple

    return (
        gpu_lost,
        gpu_hw_fault,
        driver_missing,
        gpu_legacy_driver_dropped,
        driver_too_old_for_gpu,
        driver_flavour_mismatch,
        driver_not_loaded,
        driver_library_mismatch,
        forward_compat_broken,
        fabric_manager_down,
        wsl_driver_problem,
        container_no_gpu,
        container_gpu_detached,
        device_permission,
        mig_misconfigured,
        uvm_broken,
        device_busy_or_exclusive,
        out_of_memory,
        visible_devices_hidden,
        expandable_segments_unsupported,
        platform_unsupported,
        glibc_too_old,
        python_unsupported,
        wheel_index_missing,
        torch_missing,
        torch_cpu_only,
        gpu_arch_too_new_for_torch,
        gpu_arch_too_old_for_torch,
        driver_too_old,
        module_shadowed,
        torch_duplicate_install,
        torch_install_corrupt,
        nvidia_wheels_mismatch,
        library_path_conflict,
        windows_dll_missing,
        mkl_mismatch,
        cudnn_shadowed,
        cudnn_missing,
        cudnn_version_mismatch,
        torchvision_mismatch,
        torchaudio_mismatch,
        torch_too_old_for_package,
        numpy_abi_mismatch,
        triton_problem,
        extension_abi_mismatch,
        extension_arch_missing,
        companion_cuda_mismatch,
        openmp_duplicate,
        toolkit_multiple,
        toolkit_mismatch,
        toolkit_missing,
        host_compiler_unsupported,
        nccl_problem,
        shm_too_small,
        gpu_degraded,
        torch_failure_unexplained,  # last: any other error explains it
    )


def all_messages() -> Iterator[tuple[str, Message]]:
    """Every diagnosis's messages, each with its code."""
    return ((d.code, message) for d in all_diagnoses() for message in d.messages)


def select(codes: tuple[str, ...]) -> tuple[Diagnosis, ...]:
    """The diagnoses of these codes, in the catalogue's order; all of them where no code is given.

    Raises InputError for a code that does not exist, with the nearest ones that do.
    """
    if not codes:
        return all_diagnoses()
    known = {d.code: d for d in all_diagnoses()}
    for code in codes:
        if code not in known:
            near = nearest(code, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`envdoctor check --list` shows the codes"
            raise InputError(f"there is no diagnosis '{code}'; {hint}")
    return tuple(d for d in all_diagnoses() if d.code in codes)


def nearest(code: str, *, cutoff: float) -> list[str]:
    """Up to three codes that are written like this one, the likest first. `cutoff`: 0 (anything) to 1 (the same)."""
    import difflib

    return difflib.get_close_matches(code, [d.code for d in all_diagnoses()], n=3, cutoff=cutoff)
