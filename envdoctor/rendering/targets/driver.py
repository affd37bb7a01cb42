"""The script that installs the Linux driver: from Ubuntu's archive there, from NVIDIA's repository elsewhere.

Sources: NVIDIA driver installation guide, editions 610 and 620 ('Kernel Modules', 'Version Locking'); ubuntu-drivers-common's
detect.py for Ubuntu's package names; NVIDIA's Fabric Manager user guide; the container toolkit's install guide; for SUSE's signed
modules software.opensuse.org and SUSE/suse-ai-stack pull request 26. As in `diagnosis.driver_packages`.
"""

from __future__ import annotations

from envdoctor.planning.model import Stack
from envdoctor.rendering.drivers import driver_needs
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.systems import nvidia_repository, system_of
from envdoctor.rendering.templates import fill


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """One script. Raises InputError where there is no driver to install, or no package of it for that system."""
    needs = driver_needs(stack, "driver")
    system = system_of(stack, "driver")
    # SUSE numbers its driver packages by generation: G06 up to branch 580, G07 after it (software.opensuse.org).
    generation = "G06" if needs.branch and int(needs.branch) <= 580 else "G07"
    signed = "" if needs.flavour == "proprietary" else f"nvidia-open-driver-{generation}-signed-cuda-kmp-default"
    text = fill(
        "driver/driver.sh.j2",
        stack,
        options,
        what=f"Installs the NVIDIA driver on {system.title}. Root, a reboot, and a question before it begins.",
        run=("bash driver.sh --dry-run", "sudo bash driver.sh && sudo reboot", "sudo bash driver.sh --verify"),
        script="driver.sh",
        system=system,
        repository=None if system.family == "ubuntu" else nvidia_repository(system, "driver"),
        generation=generation,
        signed=signed,
        minimum=needs.minimum,
        branch=needs.branch,
        last=needs.last,
        flavour=needs.flavour,
        data_center=needs.data_center,
        nvlink5=needs.nvlink5,
    )
    return (RenderedFile("driver.sh", text, executable=True),)
