"""Snapshots in a few words: what a diagnosis's test says is what matters to it, the rest is a plausible machine."""

from __future__ import annotations

from typing import Any

from envdoctor.diagnosis.catalogue import select
from envdoctor.diagnosis.engine import diagnose
from envdoctor.diagnosis.judging import judge_snapshot
from envdoctor.diagnosis.model import Diagnosed, Finding
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.driver import Driver, KernelModule
from envdoctor.facts.sections.gpu import CudaDriver, Gpu, Nvml
from envdoctor.facts.sections.host import Container, Host, LinuxDistribution, PciDevice
from envdoctor.facts.sections.interpreter import Distribution as Installed
from envdoctor.facts.sections.interpreter import Interpreter, Torch, TorchRun
from tests.as_of import then

KERNEL = "6.8.0-45-generic"
UBUNTU = Host(
    system="Linux",
    architecture="x86_64",
    kernel=KERNEL,
    distribution=LinuxDistribution(id="ubuntu", version_id="24.04", like=("debian",)),
    glibc="2.39",
    wsl=0,
)
RTX_4090 = PciDevice(address="0000:01:00.0", vendor="10de", device="2684", class_code="030000", driver="nvidia")
NOT_A_CONTAINER = Container(kind="none")


def gpu(name: str = "NVIDIA GeForce RTX 4090", capability: str | None = "8.9", index: int = 0, **more: Any) -> Gpu:
    return Gpu(index=index, name=name, compute_capability=capability, **more)


def nvml(*gpus: Gpu, driver: str | None = "580.159.04") -> Nvml:
    return Nvml(source="nvml", status="SUCCESS", status_code=0, driver_version=driver, gpus=gpus or (gpu(),))


def module(version: str | None = "580.159.04", **more: Any) -> Driver:
    """A driver whose module is loaded (or, without a version, is not)."""
    return Driver(module=KernelModule(loaded=version is not None, version=version, **more))


def interpreter(torch: Torch | None = None, *installed: Installed, **more: Any) -> Interpreter:
    own = (Installed(name="torch", version=torch.version, installer="pip"),) if torch else ()
    return Interpreter(
        executable="/home/ada/venv/bin/python",
        chosen_by="VIRTUAL_ENV",
        version=more.pop("version", "3.12.3"),
        pip=more.pop("pip", True),
        environment="venv",
        distributions=(*own, *installed),
        torch=torch,
        torch_installed=torch is not None,
        **more,
    )


def torch(version: str = "2.15.0+cu132", cuda: str | None = "13.2", flags: str | None = None, **more: Any) -> Torch:
    return Torch(
        version=version,
        build="cuda" if cuda else "cpu",
        cuda=cuda,
        arch_flags=tuple(flags.split()) if flags else None,
        run=more.pop("run", TorchRun(outcome="ok")),
        **more,
    )


FLAGS_2_15 = "sm_75 sm_80 sm_86 sm_90 sm_100 sm_120"


def machine(**sections: Any) -> Snapshot:
    """An Ubuntu workstation with a working RTX 4090 and torch 2.15; sections given replace its own."""
    healthy: dict[str, Any] = {
        "source": "live",
        "host": UBUNTU,
        "pci": (RTX_4090,),
        "driver": module(flavour="open"),
        "nvml": nvml(),
        "cuda_driver": CudaDriver(outcome="ok", init_code=0, version="13.0", device_count=1),
        "container": NOT_A_CONTAINER,
        "environment": {},
        "interpreter": interpreter(
            torch(flags=FLAGS_2_15, run=TorchRun(outcome="ok", cuda_available=True, computation="ok", device_count=1))
        ),
    }
    return Snapshot(**{**healthy, **sections})


def judge(snapshot: Snapshot) -> Diagnosed:
    return judge_snapshot(snapshot, then())


def finding(code: str, snapshot: Snapshot) -> Finding | None:
    """What the one diagnosis of that code says."""
    return next(iter(diagnose(snapshot, then(), select((code,))).findings), None)


def found(code: str, snapshot: Snapshot) -> Finding:
    said = finding(code, snapshot)
    assert said is not None, f"{code} did not fire"
    return said


def commands(said: Finding) -> str:
    return "\n".join(command for fix in said.fixes for command in fix.commands)
