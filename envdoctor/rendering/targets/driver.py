"""The script that installs the Linux driver: from Ubuntu's archive there, from NVIDIA's repository elsewhere.

The packages' names are `planning.driver_packages`'. Further sources: NVIDIA's Fabric Manager user guide; the container toolkit's
install guide.
"""

from __future__ import annotations

from envdoctor.planning.driver_packages import MACHINE_KEYS, epel, repository_packages
from envdoctor.planning.kernel_modules import OPEN_BY_DEFAULT_FROM, flavour_to_install
from envdoctor.planning.model import Stack
from envdoctor.rendering.drivers import driver_needs
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.systems import nvidia_repository, system_of
from envdoctor.rendering.templates import fill


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """One script. Raises InputError where there is no driver to install, or no package of it for that system."""
    needs = driver_needs(stack, "driver")
    system = system_of(stack, "driver")
    flavour = flavour_to_install(needs.flavour, needs.branch or None)
    packages = repository_packages(system.family, system.major, branch=needs.branch or None, flavour=flavour)
    text = fill(
        "driver/driver.sh.j2",
        stack,
        options,
        what=f"Installs the NVIDIA driver on {system.title}. Root, a reboot, and a question before it begins.",
        run=("bash driver.sh --dry-run", "sudo bash driver.sh && sudo reboot", "sudo bash driver.sh --verify"),
        script="driver.sh",
        system=system,
        repository=None if system.family == "ubuntu" else nvidia_repository(system, "driver"),
        packages=packages,
        epel=[(identifier, epel(identifier, system.major)) for identifier in system.ids] if system.epel else [],
        open_from=OPEN_BY_DEFAULT_FROM,
        machine_keys=MACHINE_KEYS,
        minimum=needs.minimum,
        branch=needs.branch,
        last=needs.last,
        flavour=needs.flavour,
        data_center=needs.data_center,
        nvlink5=needs.nvlink5,
    )
    return (RenderedFile("driver.sh", text, executable=True),)
