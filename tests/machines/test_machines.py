"""Whole machines through the real command: the right verdict on the broken ones, none on the healthy ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from envdoctor.diagnosis.catalogue import all_diagnoses
from envdoctor.diagnosis.engine import diagnose
from envdoctor.facts.readers import read
from envdoctor.facts.redaction import redact
from envdoctor.knowledge import load
from envdoctor.report.data import to_json
from tests import simulated
from tests.fakes.driver import FakeDriver, FakeGpu
from tests.fakes.machine import needs_compiler
from tests.machines.simulation import Case, Verdict, check
from tests.sysroot import Sysroot, kernel_module

pytestmark = needs_compiler

SLOT = "0000:01:00.0"
RTX_4090 = FakeGpu("NVIDIA GeForce RTX 4090", pci_address=SLOT)
WORKSTATION = FakeDriver("580.159.04", "13.0", [RTX_4090])
SEES_GPU = {"gpus": [{"name": "NVIDIA GeForce RTX 4090", "capability": "8.9", "memory": 24 << 30}]}


def without_gpu(root: Path) -> Sysroot:
    """A server with no NVIDIA hardware at all."""
    sysroot = Sysroot(root).kernel("6.8.0-45-generic")
    sysroot.os_release(id="ubuntu", id_like="debian", version_id="24.04", pretty_name="Ubuntu 24.04 LTS")
    sysroot.pci("0000:00:02.0", "1234:1111", "030000", "bochs-drm")
    simulated.c_library(sysroot, "/usr/lib/x86_64-linux-gnu", "2.39", "3.4.33")
    return sysroot.file("/proc/modules", "ext4 1 0 - Live 0x0\n").dpkg({"base-files": "13"}).cache([])


def not_loaded(root: Path) -> Sysroot:
    """A kernel update for which DKMS did not build the module."""
    sysroot = simulated.ubuntu_2404(root)
    newer = "6.8.0-90-generic"
    sysroot.kernel(newer).file("/proc/modules", "ext4 1 0 - Live 0x0\n").folder(f"/lib/modules/{newer}/kernel")
    for gone in ("/sys/module/nvidia", "/proc/driver/nvidia", "/sys/module/nvidia_uvm", "/sys/module/nvidia_modeset"):
        _remove(sysroot, gone)
    for device in ("nvidiactl", "nvidia0", "nvidia-uvm", "nvidia-uvm-tools"):
        sysroot.path(f"/dev/{device}").unlink()
    return sysroot


def updated_without_reboot(root: Path) -> Sysroot:
    """580.159.04 runs; 580.173.02 is on disk."""
    sysroot = simulated.ubuntu_2404(root)
    module = "/lib/modules/6.8.0-87-generic/updates/dkms/nvidia.ko"
    return sysroot.file(module, kernel_module("580.173.02", "Dual MIT/GPL", signer="box"))


def _remove(sysroot: Sysroot, name: str) -> None:
    shutil.rmtree(sysroot.path(name), ignore_errors=True)


CASES = [
    Case(
        "a healthy workstation",
        simulated.ubuntu_2404,
        None,
        driver=WORKSTATION,
        torch={"arch_flags": "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120", **SEES_GPU},
    ),
    Case("a healthy server without a GPU", without_gpu, None, torch={"version": "2.13.0+cpu", "cuda": None}),
    Case("a CUDA build without a GPU", without_gpu, None),
    Case(
        "no driver, nouveau holds the card",
        simulated.debian_12_without_driver,
        "driver-missing",
        never=("torch-cpu-only",),
    ),
    Case("no driver and no torch", simulated.debian_12_without_driver, "driver-missing", torch=None),
    Case(
        "a kernel update without its module",
        not_loaded,
        "driver-not-loaded",
        driver=FakeDriver("580.159.04", "13.0", errors={"nvmlInit": 9, "cuInit": 100}),
        never=("driver-missing", "visible-devices-hidden"),
    ),
    Case(
        "a driver update without a reboot",
        updated_without_reboot,
        "driver-library-mismatch",
        driver=FakeDriver("580.173.02", "13.0", errors={"nvmlInit": 18, "cuInit": 803}),
    ),
    Case(
        "CUDA 13 on driver 535",
        simulated.ubuntu_2204_hgx,
        "driver-too-old",
        driver=FakeDriver(
            "535.183.01",
            "12.2",
            [FakeGpu("NVIDIA H100 80GB HBM3", pci_address=a) for a in ("0000:1b:00.0", "0000:43:00.0")],
        ),
        torch={
            "is_available": "warn CUDA initialization: The NVIDIA driver on your system is too old (found version 12020)"
        },
    ),
    Case("a GPU and no torch", simulated.ubuntu_2404, "torch-missing", driver=WORKSTATION, torch=None),
    Case(
        "a CPU build beside a GPU",
        simulated.ubuntu_2404,
        "torch-cpu-only",
        driver=WORKSTATION,
        torch={"version": "2.14.1+cpu", "cuda": None},
    ),
    Case(
        "a Blackwell card on torch 2.6",
        simulated.ubuntu_2404,
        "gpu-arch-too-new-for-torch",
        driver=FakeDriver(
            "580.159.04", "13.0", [FakeGpu("NVIDIA GeForce RTX 5090", capability=(12, 0), pci_address=SLOT)]
        ),
        torch={
            "version": "2.6.0+cu124",
            "cuda": "12.4",
            "arch_flags": "sm_50 sm_60 sm_70 sm_75 sm_80 sm_86 sm_90",
            "gpus": [{"name": "NVIDIA GeForce RTX 5090", "capability": "12.0", "memory": 32 << 30}],
            "mm": "raise CUDA error: no kernel image is available for execution on the device",
        },
        never=("gpu-arch-too-old-for-torch",),
    ),
    Case(
        "a Volta card on torch 2.15",
        simulated.ubuntu_2404,
        "gpu-arch-too-old-for-torch",
        driver=FakeDriver("580.159.04", "13.0", [FakeGpu("Tesla V100-SXM2-32GB", capability=(7, 0), pci_address=SLOT)]),
        torch={
            "arch_flags": "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120",
            "gpus": [{"name": "Tesla V100-SXM2-32GB", "capability": "7.0", "memory": 32 << 30}],
            "mm": "raise CUDA error: no kernel image is available for execution on the device",
        },
        never=("gpu-arch-too-new-for-torch", "driver-too-old"),
    ),
    Case(
        "a torchvision of another release",
        simulated.ubuntu_2404,
        "torchvision-mismatch",
        driver=WORKSTATION,
        torch=SEES_GPU,
        packages=(("torchvision", "0.29.0", "torch==2.14.0"),),
    ),
    Case(
        "every GPU hidden",
        simulated.ubuntu_2404,
        "visible-devices-hidden",
        driver=WORKSTATION,
        environment={"CUDA_VISIBLE_DEVICES": ""},
        never=("torch-cpu-only", "driver-missing"),
    ),
    Case(
        "a torch that crashes for a reason unknown",
        simulated.ubuntu_2404,
        "torch-failure-unexplained",
        driver=WORKSTATION,
        torch={"importing": "crash"},
    ),
]


every_machine = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(scope="module")
def verdict_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Verdict]:
    """The verdict on a machine; each machine is built and checked once."""
    verdicts: dict[str, Verdict] = {}

    def verdict(case: Case) -> Verdict:
        if case.name not in verdicts:
            verdicts[case.name] = check(case, tmp_path_factory.mktemp("machine"))
        return verdicts[case.name]

    return verdict


@every_machine
def test_the_verdict_is_right(case: Case, verdict_of: Callable[[Case], Verdict]) -> None:
    verdict = verdict_of(case)
    assert verdict.report["primary"] == case.primary, (verdict.codes, verdict.stderr)
    assert verdict.code == (1 if case.primary else 0)
    assert verdict.report["ok"] is (case.primary is None)
    assert not set(verdict.codes) & set(case.never), verdict.codes
    assert [p for p in verdict.report["snapshot"]["probes"] if p["outcome"] != "ok"] == []
    assert verdict.stderr == ""


@every_machine
def test_only_the_planted_fault_is_found(case: Case, verdict_of: Callable[[Case], Verdict]) -> None:
    findings = verdict_of(case).report["findings"]
    roots = [f["code"] for f in findings if f["consequence_of"] is None and f["severity"] == "error"]
    expected = [case.primary] if case.primary else []
    if case.torch is None and case.primary != "torch-missing":
        expected.append("torch-missing")
    assert roots == expected


@every_machine
def test_a_snapshot_gives_the_same_findings_as_the_machine(case: Case, verdict_of: Callable[[Case], Verdict]) -> None:
    live = verdict_of(case).report
    snapshot = read(json.dumps(live["snapshot"]))
    again = json.loads(to_json(snapshot, diagnose(snapshot, load(), all_diagnoses())))
    assert again["findings"] == live["findings"]


@every_machine
def test_a_redacted_snapshot_gives_the_same_verdict(case: Case, verdict_of: Callable[[Case], Verdict]) -> None:
    live = verdict_of(case).report
    snapshot = redact(read(json.dumps(live["snapshot"])))
    again = json.loads(to_json(snapshot, diagnose(snapshot, load(), all_diagnoses())))
    assert (again["ok"], again["primary"]) == (live["ok"], live["primary"])
    assert [f["code"] for f in again["findings"]] == [f["code"] for f in live["findings"]]
