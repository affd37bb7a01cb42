"""The Snapshot: what is true of one machine at one moment.

Probes fill it from a live machine, readers from files; diagnoses judge it. It is frozen, and None always means unknown.
"""

from __future__ import annotations

from envdoctor.facts.sections.base import Exact, Facts
from envdoctor.facts.sections.driver import Driver
from envdoctor.facts.sections.gpu import CudaDriver, Gpu, Nvml
from envdoctor.facts.sections.host import Container, Host, Logs, PciDevice
from envdoctor.facts.sections.interpreter import Interpreter, Torch
from envdoctor.facts.sections.software import Libraries, Toolkit

SCHEMA = "envdoctor.snapshot/1"


class ProbeReport(Facts, frozen=True, kw_only=True):
    """How one probe fared."""

    name: Exact
    outcome: Exact
    """'ok', 'failed' or 'timeout'."""
    seconds: float | None = None
    error: str | None = None


class Snapshot(Facts, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """Everything that was observed of one machine; a section is None where nothing of it is known."""

    envdoctor: Exact | None = None
    """Version of the envdoctor that made it."""
    created: Exact | None = None
    """UTC, ISO 8601."""
    source: Exact | None = None
    """'live', or the kind of text it was read from ('collect_env', ...)."""
    redacted: bool = False
    host: Host | None = None
    pci: tuple[PciDevice, ...] | None = None
    driver: Driver | None = None
    nvml: Nvml | None = None
    cuda_driver: CudaDriver | None = None
    toolkit: Toolkit | None = None
    libraries: Libraries | None = None
    container: Container | None = None
    logs: Logs | None = None
    environment: dict[str, str] | None = None
    """Environment variables that steer CUDA, Python or the loader; one that is not in it is unset."""
    environment_complete: bool = True
    """False where only some variables were shown (a dump): then one that is not in `environment` is unknown."""
    interpreter: Interpreter | None = None
    probes: tuple[ProbeReport, ...] = ()
    messages: tuple[str, ...] = ()
    """Lines around the facts in the text that it was read from: prose, warnings, tracebacks. At most 200 lines, 20 kB."""

    @property
    def torch(self) -> Torch | None:
        return None if self.interpreter is None else self.interpreter.torch

    @property
    def nvidia_devices(self) -> tuple[PciDevice, ...] | None:
        """NVIDIA GPUs on the PCI bus; None where the bus was not read."""
        return None if self.pci is None else tuple(d for d in self.pci if d.is_nvidia_gpu)

    @property
    def gpus(self) -> tuple[Gpu, ...] | None:
        """GPUs as NVML lists them; None where NVML did not answer."""
        return None if self.nvml is None else self.nvml.gpus

    @property
    def driver_version(self) -> str | None:
        """The version of the running driver: the loaded module's, else NVML's, else what another tool reported."""
        module = self.driver.module if self.driver else None
        if module is not None and module.version is not None:
            return module.version
        if self.nvml is not None and self.nvml.driver_version is not None:
            return self.nvml.driver_version
        return self.driver.reported_version if self.driver else None

    def variable(self, name: str) -> str | None:
        """The value of an environment variable; None both where it is unset and where the environment is not known."""
        return None if self.environment is None else self.environment.get(name)
