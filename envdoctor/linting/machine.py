"""What of a Snapshot the rules ask for: the GPUs, the driver and where Python packages would be installed."""

from __future__ import annotations

import msgspec

from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge, KnowledgeError, TorchBuild
from envdoctor.knowledge.systems import System
from envdoctor.knowledge.versions import at_least
from envdoctor.linting.model import DescribedEnvironment
from envdoctor.linting.resolving import Circumstances
from envdoctor.planning.driver_choice import DriverChoice, driver_to_install
from envdoctor.planning.driver_limits import lowest_driver
from envdoctor.planning.gpu_list import gpu_of
from envdoctor.planning.machine_gpus import MachineGpu, machine_gpus
from envdoctor.planning.model import Target, Wishes
from envdoctor.planning.question import best_build
from envdoctor.planning.target import for_image, from_snapshot, wheel_platform


class TargetMachine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that the files are judged against: what `planning` makes of it, and its GPUs whose capability is known."""

    target: Target
    gpus: tuple[MachineGpu, ...] = ()
    platform: str | None = None
    """None where it is not known; the target's is Linux then."""

    @property
    def named(self) -> tuple[str, ...]:
        """The words for it: its GPUs and its driver; () where neither is known."""
        gpus = tuple(dict.fromkeys(str(gpu) for gpu in self.gpus))
        return (*gpus, *((f"driver {self.driver}",) if self.driver is not None else ()))

    @property
    def on_windows_driver(self) -> bool:
        """Under WSL too: Linux wheels and images on Windows' driver."""
        return self.target.wsl or self.target.platform.startswith("windows")

    @property
    def driver(self) -> str | None:
        return self.target.driver

    def under(self, where: Circumstances) -> Target:
        """The same machine as an install there sees it: with the platform and the C library of an image. Its GPUs are those that
        the machine shows; a machine that shows none says nothing, for files are often judged elsewhere than they are used."""
        here = self.target
        there = (
            for_image(here) if where.platform != here.platform and (where.platform or "").startswith("linux") else here
        )
        return msgspec.structs.replace(
            there,
            gpus=tuple(gpu for gpu in map(gpu_of, self.gpus) if gpu is not None) or None,
            platform=where.platform or here.platform,
            glibc="" if where.musl else where.glibc,
        )

    def driver_lacks(self, build: TorchBuild, where: Circumstances, world: Knowledge) -> str | None:
        """The driver that this build needs where the machine's is older; None where it suffices or one is not known."""
        needed = lowest_driver(build, self.under(where), world) if build.cuda is not None else None
        return needed if self.driver is not None and needed is not None and not at_least(self.driver, needed) else None

    def driver_for(self, minimum: str, where: Circumstances, world: Knowledge) -> DriverChoice:
        """The driver to update to where one of at least `minimum` is needed."""
        return driver_to_install(self.under(where), world, minimum=minimum)

    def fitting(self, where: Circumstances, world: Knowledge, torch: str | None = None) -> TorchBuild | None:
        """The newest CUDA build for this machine's GPUs and driver under those circumstances."""
        if not where.platform or not where.platform.startswith(("linux", "windows")):
            return None
        try:
            return best_build(self.under(where), Wishes(python=where.python, torch=torch), world)
        except KnowledgeError:
            return None


def described_machine(target: Target) -> TargetMachine:
    """The machine that a person described with --gpu and --driver."""
    gpus = tuple(
        MachineGpu(name=gpu.name, capability=gpu.capability) for gpu in target.gpus or () if gpu.capability is not None
    )
    return TargetMachine(target=target, gpus=gpus, platform=target.platform)


def machine_of(snapshot: Snapshot, world: Knowledge) -> TargetMachine:
    """The facts of a Snapshot that count here."""
    return TargetMachine(
        target=from_snapshot(snapshot, world),
        gpus=tuple(gpu for gpu in machine_gpus(snapshot, world) or () if gpu.capability),
        platform=wheel_platform(snapshot),
    )


def _system(name: str | None, world: Knowledge) -> System | None:
    try:
        return world.system(name) if name else None
    except KnowledgeError:  # a distribution that the table has not
        return None


def circumstances(environment: DescribedEnvironment, machine: TargetMachine, world: Knowledge) -> Circumstances:
    """Where an environment's packages are installed: in its image, else on the machine."""
    if environment.in_image:
        architecture = "aarch64" if (machine.platform or "").endswith(("aarch64", "arm64")) else "x86_64"
        system = _system(environment.system, world)
        own = system.python if system is not None and environment.system_python else None
        return Circumstances(
            platform=environment.platform or f"linux_{architecture}",
            python=environment.python.value if environment.python else own,
            glibc=system.glibc if system else None,
            musl=environment.musl,
            fresh=environment.fresh,
        )
    python = environment.python.value if environment.python else machine.target.python
    if environment.requires_python is not None and environment.python is None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            if python is not None and not SpecifierSet(environment.requires_python.value).contains(python.rstrip("t")):
                python = None  # the project brings its own
        except InvalidSpecifier:
            python = None
    glibc = machine.target.glibc
    return Circumstances(
        platform=machine.platform or "linux_x86_64", python=python, glibc=glibc or None, musl=glibc == ""
    )
