"""What of a Snapshot the rules ask for: the GPUs, the driver and where Python packages would be installed."""

from __future__ import annotations

import re

import msgspec

from envdoctor.diagnosis.snapshot_queries import GpuFacts, driver_platform, gpus, wheel_platform
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge, KnowledgeError, TorchBuild
from envdoctor.knowledge.systems import System
from envdoctor.knowledge.versions import at_least
from envdoctor.linting.model import Environment
from envdoctor.linting.resolving import Circumstances


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that the files are judged against; every field is None where it is not known."""

    gpus: tuple[GpuFacts, ...] = ()
    """Only those whose capability is known."""
    driver: str | None = None
    driver_platform: str | None = None
    platform: str | None = None
    python: str | None = None
    glibc: str | None = None
    musl: bool = False

    @property
    def capabilities(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(gpu.capability for gpu in self.gpus if gpu.capability))

    def driver_lacks(self, build: TorchBuild, world: Knowledge) -> str | None:
        """The driver that this build needs where the machine's is older; None where it suffices or one is not known."""
        if self.driver is None or build.cuda is None:
            return None
        if self.driver_platform == "windows_amd64":  # WSL too: Linux wheels on Windows' driver
            needed = [world.minimum_driver(build.cuda, "windows_amd64")]
        else:
            needed = [world.driver_needed(build, capability) for capability in self.capabilities or (None,)]
        return next((need for need in needed if need is not None and not at_least(self.driver, need)), None)

    def fitting(self, where: Circumstances, world: Knowledge, torch: str | None = None) -> TorchBuild | None:
        """The newest CUDA build for this machine's GPUs and driver under those circumstances."""
        if not where.platform or not where.platform.startswith(("linux", "windows")) or where.musl:
            return None
        try:
            return world.newest_torch(
                capabilities=self.capabilities,
                driver=self.driver if self.driver_platform == where.platform else None,
                python=where.python,
                platform=where.platform,
                glibc=where.glibc,
                torch=torch,
            )
        except KnowledgeError:
            return None


def machine_of(snapshot: Snapshot, world: Knowledge) -> Machine:
    """The facts of a Snapshot that count here."""
    host, interpreter = snapshot.host, snapshot.interpreter
    python = None
    if interpreter is not None and interpreter.version is not None:
        python = ".".join(interpreter.version.split(".")[:2]) + ("t" if interpreter.free_threaded else "")
    driver = snapshot.driver_version
    return Machine(
        gpus=tuple(gpu for gpu in gpus(snapshot, world) or () if gpu.capability),
        driver=driver if driver and re.fullmatch(r"\d+(\.\d+)+", driver) else None,
        driver_platform=driver_platform(snapshot),
        platform=wheel_platform(snapshot),
        python=python,
        glibc=host.glibc or None if host else None,
        musl=bool(host and host.glibc == ""),
    )


def _system(name: str | None, world: Knowledge) -> System | None:
    try:
        return world.system(name) if name else None
    except KnowledgeError:  # a distribution that the table has not
        return None


def circumstances(environment: Environment, machine: Machine, world: Knowledge) -> Circumstances:
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
    python = environment.python.value if environment.python else machine.python
    if environment.requires_python is not None and environment.python is None:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            if python is not None and not SpecifierSet(environment.requires_python.value).contains(python.rstrip("t")):
                python = None  # the project brings its own
        except InvalidSpecifier:
            python = None
    return Circumstances(
        platform=machine.platform or "linux_x86_64", python=python, glibc=machine.glibc, musl=machine.musl
    )
