"""The one ordered list of diagnoses, nearest the metal first. To add one: write its file, and add it here."""

from __future__ import annotations

from functools import cache

from envdoctor.diagnosis.model import Diagnosis
from envdoctor.errors import InputError


@cache
def all_diagnoses() -> tuple[Diagnosis, ...]:
    """Every diagnosis, in the order in which findings of equal severity are reported."""
    # Imported here, not above: `check` needs them all, other commands none.
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
    from envdoctor.diagnosis.environment.visible_devices_hidden import visible_devices_hidden
    from envdoctor.diagnosis.pytorch.gpu_arch_too_new_for_torch import gpu_arch_too_new_for_torch
    from envdoctor.diagnosis.pytorch.gpu_arch_too_old_for_torch import gpu_arch_too_old_for_torch
    from envdoctor.diagnosis.pytorch.torch_cpu_only import torch_cpu_only
    from envdoctor.diagnosis.pytorch.torch_failure_unexplained import torch_failure_unexplained
    from envdoctor.diagnosis.pytorch.torch_missing import torch_missing
    from envdoctor.diagnosis.pytorch.torchvision_mismatch import torchvision_mismatch

    return (
        driver_missing,
        gpu_legacy_driver_dropped,
        driver_too_old_for_gpu,
        driver_flavour_mismatch,
        driver_not_loaded,
        driver_library_mismatch,
        forward_compat_broken,
        fabric_manager_down,
        uvm_broken,
        visible_devices_hidden,
        torch_missing,
        torch_cpu_only,
        gpu_arch_too_new_for_torch,
        gpu_arch_too_old_for_torch,
        driver_too_old,
        torchvision_mismatch,
        torch_failure_unexplained,  # last: any other error explains it
    )


def select(codes: tuple[str, ...]) -> tuple[Diagnosis, ...]:
    """The diagnoses of these codes, in the catalogue's order; all of them where no code is given.

    Raises InputError for a code that does not exist, with the nearest ones that do.
    """
    if not codes:
        return all_diagnoses()
    known = {d.code: d for d in all_diagnoses()}
    for code in codes:
        if code not in known:
            import difflib

            near = difflib.get_close_matches(code, known, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`envdoctor check --list` shows the codes"
            raise InputError(f"there is no diagnosis '{code}'; {hint}")
    return tuple(d for d in all_diagnoses() if d.code in codes)
