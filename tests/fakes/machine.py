"""A machine that has a fake driver and otherwise nothing of this one's NVIDIA software."""

from __future__ import annotations

from pathlib import Path

from envdoctor.facts.host import Machine
from tests.fakes.driver import FakeDriver


def machine_with(driver: FakeDriver, folder: Path, **environment: str) -> Machine:
    """This machine with the fake driver first on the loader's path, and no nvidia-smi."""
    libraries = driver.install(folder / "driver")
    return Machine(environment={"PATH": str(folder), "LD_LIBRARY_PATH": str(libraries), **environment})


def machine_without_driver(folder: Path, **environment: str) -> Machine:
    """A machine whose file system has no driver: also where this one has a real one."""
    folder.mkdir(exist_ok=True)
    return Machine(root=folder, environment={"PATH": str(folder / "bin"), **environment})
