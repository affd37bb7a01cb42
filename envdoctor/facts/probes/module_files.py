"""Part of the driver probe: the nvidia kernel modules on disk, and the DKMS tree that builds them."""

from __future__ import annotations

import re
from pathlib import Path

from envdoctor.facts import elf
from envdoctor.facts.host import Machine
from envdoctor.facts.probes.kernel_module import VERSION
from envdoctor.facts.sections.driver import DkmsState, ModuleFile

# `module_license` of the open kernel modules, against 'NVIDIA' of the proprietary ones.
_OPEN_LICENCES = ("Dual MIT/GPL", "MIT", "GPL")
_TIMEOUT = 3.0
_MODULE_LIMIT = 256 << 20
# Debian's packages add which driver it is: nvidia-current.ko, nvidia-tesla-470.ko, nvidia-legacy-390xx.ko.
_NAME = re.compile(r"nvidia(?:-(?:current|tesla|legacy)(?:-\w+)?(?:-open)?)?\.ko(?:\.(?:xz|zst|gz))?")
_DEPTH = 5  # extra/drivers/video/nvidia/nvidia.ko of NVIDIA's RPMs is the deepest known, in weak-updates one more


def files(machine: Machine, running_kernel: str | None, *, loaded: bool) -> tuple[ModuleFile, ...] | None:
    """Every nvidia.ko under /lib/modules. To open a compressed one takes tenths of a second, which is spent only on the
    running kernel's, and only where it is not loaded: then its flavour and its signature may be why."""
    base = next((folder for folder in ("/lib/modules", "/usr/lib/modules") if machine.list(folder)), None)
    if base is None:
        return () if machine.installed else None
    found = []
    for kernel in machine.list(base) or ():
        for path in _module_paths(machine, f"{base}/{kernel}"):
            info = _information(machine, path, patient=kernel == running_kernel and not loaded)
            version = info.get("version") or _version_by_path(machine, path, kernel)
            licence = info.get("license")
            flavour = None if licence is None else "open" if licence in _OPEN_LICENCES else "proprietary"
            found.append(
                ModuleFile(
                    path=path,
                    kernel=kernel,
                    version=version,
                    flavour=flavour or _flavour_by_path(path),
                    signer=info.get("signer"),
                )
            )
    return tuple(found)


def _module_paths(machine: Machine, folder: str) -> list[str]:
    """Modules in the places that distributions, DKMS and NVIDIA's installer use: some folders, not thousands of files."""
    found: list[str] = []
    # Whole trees of modules that are not the kernel's own, and single folders of its own tree.
    for place in ("updates", "extra", "weak-updates", "extramodules", "misc", "nvidia"):
        found += _walk(machine, f"{folder}/{place}", _DEPTH)
    for place in ("kernel/drivers/video", "kernel/drivers/char/drm", "kernel/drivers/gpu", "kernel/extramodules"):
        found += _walk(machine, f"{folder}/{place}", 0)
    for place in (*machine.glob(folder, "kernel/nvidia*"), *machine.glob(folder, "kernel/drivers/video/nvidia*")):
        found += _walk(machine, place, 1)
    return found


def _walk(machine: Machine, folder: str, depth: int) -> list[str]:
    found: list[str] = []
    for name in machine.list(folder) or ():
        if _NAME.fullmatch(name):
            found.append(f"{folder}/{name}")
        elif depth and "." not in name:
            found += _walk(machine, f"{folder}/{name}", depth - 1)
    return found


def _information(machine: Machine, path: str, *, patient: bool) -> dict[str, str]:
    """Version, licence and signer of a module file: from the file itself, else through modinfo (zstd and xz)."""
    real = machine.real(path)
    if path.endswith(".ko"):
        return _parse(elf.section(real, ".modinfo"), _signer(real))
    if not patient:
        return {}
    modinfo = None if machine.simulated else machine.which("modinfo") or _sbin(machine, "modinfo")
    if modinfo is not None:
        done = machine.run([modinfo, path], timeout=_TIMEOUT)
        if done.ok:
            pairs = (line.partition(":") for line in done.stdout.splitlines())
            info = {key.strip(): value.strip() for key, _, value in pairs}
            return {"signer": "", **{key: info[key] for key in ("version", "license", "signer") if key in info}}
    return _uncompressed(machine, path)


def _sbin(machine: Machine, command: str) -> str | None:
    """An administrator's command, which an ordinary user's PATH on Debian does not lead to."""
    return next(
        (f"{folder}/{command}" for folder in ("/usr/sbin", "/sbin") if machine.exists(f"{folder}/{command}")), None
    )


def _uncompressed(machine: Machine, path: str) -> dict[str, str]:
    import gzip
    import lzma
    import tempfile

    data = machine.read_bytes(path, _MODULE_LIMIT)
    if data is None or path.endswith(".zst"):  # the standard library has no zstd before Python 3.14
        return {}
    try:
        with tempfile.NamedTemporaryFile() as plain:
            plain.write(gzip.decompress(data) if path.endswith(".gz") else lzma.decompress(data))
            plain.flush()
            return _parse(elf.section(Path(plain.name), ".modinfo"), _signer(Path(plain.name)))
    except (OSError, EOFError, lzma.LZMAError):
        return {}


def _parse(modinfo: bytes | None, signer: str | None) -> dict[str, str]:
    if modinfo is None:
        return {}
    pairs = (entry.partition("=") for entry in modinfo.decode("utf-8", "replace").split("\0"))
    info = {key: value for key, _, value in pairs if key in ("version", "license")}
    return info if signer is None else {**info, "signer": signer}


def _signer(path: Path) -> str | None:
    """The name on the signature at a module's end, '' where there is none: kernel, scripts/sign-file.c."""
    magic = b"~Module signature appended~\n"
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 8192))
            tail = file.read()
    except OSError:
        return None
    if not tail.endswith(magic):
        return ""
    length = int.from_bytes(tail[-len(magic) - 4 : -len(magic)], "big")
    message = tail[max(0, len(tail) - len(magic) - 12 - length) : len(tail) - len(magic) - 12]
    # The issuer's common name (OID 2.5.4.3) as a UTF-8 or printable string; modinfo prints the same.
    names = re.findall(rb"\x06\x03\x55\x04\x03[\x0c\x13](.)", message, re.DOTALL)
    if not names:
        return None
    start = message.index(b"\x06\x03\x55\x04\x03") + 7
    return message[start : start + names[0][0]].decode("utf-8", "replace")


def _version_by_path(machine: Machine, path: str, kernel: str) -> str | None:
    """DKMS keeps what it installed under its version's name."""
    if "/dkms/" not in path and "/extra/" not in path:
        return None
    installed = {
        state.version for state in dkms(machine) or () if state.kernel == kernel and state.state == "installed"
    }
    return installed.pop() if len(installed) == 1 else None


def _flavour_by_path(path: str) -> str | None:
    """Ubuntu's prebuilt modules lie in kernel/nvidia-580 or kernel/nvidia-580-open."""
    folder = re.search(r"/nvidia-\d{3}[a-z0-9-]*/", path)
    return None if folder is None else "open" if "-open" in folder[0] else "proprietary"


def headers(machine: Machine, kernel: str | None) -> bool | None:
    """Whether the running kernel's build folder, which DKMS needs, is there."""
    if not kernel or not machine.list("/lib/modules"):
        return None
    return machine.exists(f"/lib/modules/{kernel}/build/Makefile")


def dkms(machine: Machine) -> tuple[DkmsState, ...] | None:
    """DKMS's tree: /var/lib/dkms/nvidia*/VERSION/KERNEL/ARCH/module, with a log of what was tried."""
    names = machine.list("/var/lib/dkms")
    if names is None or not (names or machine.installed):
        return None
    found: list[DkmsState] = []
    for module in (name for name in names if name.startswith("nvidia") and "peer" not in name and "fs" not in name):
        for version in machine.list(f"/var/lib/dkms/{module}") or ():
            if re.fullmatch(VERSION, version):
                found += _dkms_version(machine, module, version)
    return tuple(found)


def _dkms_version(machine: Machine, module: str, version: str) -> list[DkmsState]:
    folder = f"/var/lib/dkms/{module}/{version}"
    states = []
    for kernel in machine.list(folder) or ():
        if kernel in ("source", "build") or not re.match(r"\d+\.\d+", kernel):
            continue
        for processor in machine.list(f"{folder}/{kernel}") or ():
            place = f"{folder}/{kernel}/{processor}"
            built = any(name.startswith("nvidia") and ".ko" in name for name in machine.list(f"{place}/module") or ())
            state = "failed" if not built else "built"
            link = f"/var/lib/dkms/{module}/kernel-{kernel}-{processor}"
            if built and machine.resolve(link) == machine.resolve(place):
                state = "installed"
            states.append(DkmsState(version=version, kernel=kernel, state=state))
    # A build that failed leaves its log in `build` until the next one succeeds, for one kernel only.
    log = machine.read(f"{folder}/build/make.log", 4096) or ""
    tried = re.search(r"for kernel:?\s+(\S+)|KERNELRELEASE=(\S+)|/lib/modules/([^/\s]+)/build", log)
    kernel_tried = next((group for group in tried.groups() if group), None) if tried else None
    if kernel_tried and not any(state.kernel == kernel_tried for state in states):
        states.append(DkmsState(version=version, kernel=kernel_tried, state="failed"))
    return states or [DkmsState(version=version, state="added")]
