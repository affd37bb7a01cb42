"""Sheets -> the sections on the machine: host, driver, kernel log, toolkit, libraries."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

from envdoctor.facts.numbers import cuda_version
from envdoctor.facts.sections.driver import Driver, KernelModule
from envdoctor.facts.sections.gpu import CudaDriver
from envdoctor.facts.sections.host import Host, LinuxDistribution, LogLine, Logs
from envdoctor.facts.sections.software import Compiler, Libraries, LibraryFile, Nvcc, Toolkit
from envdoctor.reading.dumps import systems, values
from envdoctor.reading.dumps.merging import Merged
from envdoctor.reading.dumps.smi_table import address

T = TypeVar("T")

_CUDNN = re.compile(r"(lib)?(cudnn\w*?)(?:64_\d+)?\.(?:so|dylib|dll)(?:\.(\d+(?:\.\d+)*))?$", re.IGNORECASE)

_XID = re.compile(r"\bXid \((?:PCI:)?[0-9a-f:.]{1,20}\): (\d{1,4})\b", re.IGNORECASE)
_PCI = re.compile(r"\b[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?\b", re.IGNORECASE)


def host(merged: Merged, python: str | None, python_text: str | None) -> Host | None:
    """The operating system, the kernel and the processor."""
    parts: list[systems.NamedSystem] = []
    for sheet in merged:
        for key, read in (("os", systems.operating_system), ("platform", lambda v: systems.python_platform(v, python))):
            value = sheet.get(key)
            found = read(value) if value else None
            if found is not None and (
                not parts or not found.system or found.system == (parts[0].system or found.system)
            ):
                parts.append(found)
    system = _first(p.system for p in parts) or {"linux": "Linux", "win32": "Windows", "darwin": "Darwin"}.get(
        (merged.text("sys.platform") or "").split(" ", 1)[0]
    )
    system = system or merged.text("system") or _lightning_system(merged)
    # 'Windows 11, WSL2 with Ubuntu': what people write about is the Linux in it.
    prose_only = not any(sheet.layout != "prose" and (sheet.get("os") or sheet.get("platform")) for sheet in merged)
    if merged.text("wsl") and (system is None or (system == "Windows" and prose_only)):
        system = "Linux"
    windows_machine = re.search(r"\((AMD64|ARM64)\)", python_text or "")
    machine = _first(p.architecture for p in parts) or merged.text("machine")
    if machine is None and windows_machine and system in (None, "Windows"):
        machine, system = windows_machine[1], "Windows"
    if machine is None:
        machine = merged.first("cpu.machine", _machine) or merged.first("system.processor", _machine)
    kernel = _first(p.kernel for p in parts) or merged.text("kernel") or merged.text("system.release")
    libc = merged.first("libc", lambda v: v.removeprefix("glibc-") if re.fullmatch(r"glibc-2\.\d{1,2}", v) else None)
    if libc is not None and not systems.trustworthy_libc(python):
        libc = None
    if python is None and libc is None:
        libc = merged.text("glibc")
    release = merged.get("os-release")
    distribution = _first(p.distribution for p in parts)
    os_name = _first(p.os_name for p in parts)
    if release is not None:
        given = release.values
        distribution = LinuxDistribution(
            id=given.get("ID"), version_id=given.get("VERSION_ID"), codename=given.get("VERSION_CODENAME"),
            name=given.get("PRETTY_NAME") or given.get("NAME"), like=tuple((given.get("ID_LIKE") or "").split()),
        )  # fmt: skip
        os_name = given.get("PRETTY_NAME") or os_name
        system = system or "Linux"
    count = merged.first("cpu.count", lambda v: int(v) if v.isdecimal() and len(v) < 6 else None)
    facts = Host(
        system=system,
        architecture=machine,
        kernel=kernel,
        distribution=distribution,
        os_name=os_name,
        glibc=libc or _first(p.glibc for p in parts) or merged.text("glibc"),
        wsl=(systems.wsl(kernel) or (2 if merged.text("wsl") else systems.wsl(kernel))) if system == "Linux" else None,
        virtualization=merged.first("cpu.hypervisor", lambda v: systems.HYPERVISORS.get(v.lower())),
        cpu_model=merged.text("cpu.model"),
        cpu_count=count,
        memory_total=merged.first("memory", _gigabytes),
        shm_total=merged.first("shm", _gigabytes),
    )
    return None if facts == Host() else facts


def driver(merged: Merged, system: str | None) -> Driver | None:
    """What nvidia-smi called the driver's version; on macOS that line holds a kernel extension's."""
    version = merged.first("driver", values.driver) if system != "Darwin" else None
    module = merged.text("module")
    facts = Driver(
        module=KernelModule(loaded=True, version=module, flavour=merged.text("flavour")) if module else None,
        reported_version=version,
    )
    return None if facts == Driver() else facts


def logs(merged: Merged) -> Logs | None:
    """Lines of the kernel's log about the driver."""
    sheet = merged.get("kernel log")
    if sheet is None:
        return None
    found = []
    for text in sheet.lists["lines"][:200]:
        xid, pci = _XID.search(text), _PCI.search(text)
        found.append(LogLine(text=text, xid=int(xid[1]) if xid else None, pci=address(pci[0]) if pci else None))
    return Logs(lines=tuple(found))  # an excerpt: what it does not show is unknown


def cuda_driver(merged: Merged) -> CudaDriver | None:
    """What torch complained about: a driver's CUDA version ('found version 11040'), or that there is no driver."""
    found = merged.text("driver.cuda")
    if found is None:
        # c10's text where cudaDriverGetVersion() gives 0: there is no libcuda that could be loaded.
        none = merged.text("driver.none")
        return CudaDriver(library_missing=True, message=none) if none else None
    number = int(found)
    return CudaDriver(version=cuda_version(number))


def toolkit(merged: Merged) -> Toolkit | None:
    """nvcc, CUDA_HOME as torch's extension builder sees it, and the host compilers."""
    compilers_ = {}
    for key, name in (("gcc", "gcc"), ("cxx", "c++"), ("clang", "clang"), ("msvc", "cl")):
        version = merged.first(key, _msvc if name == "cl" else values.compiler)
        if version:
            compilers_[name] = Compiler(name=name, version=version)
    found: list[Nvcc] = []
    table = merged.get("table")
    home = table.get("cuda_home") if table else None
    missing = home is not None and "invalid" in home
    home = home.partition(" - invalid")[0] if home else None
    for sheet in merged:
        version = values.nvcc(sheet.get("nvcc"))
        if version:
            by_home = sheet.layout == "table"  # these tools run $CUDA_HOME/bin/nvcc, collect_env the one on PATH
            separator = "\\" if home and "\\" in home else "/"
            path = separator.join((home, "bin", "nvcc")) if by_home and home else "nvcc"
            found.append(Nvcc(path=path, version=version, found_by=("CUDA_HOME",) if by_home else ("PATH",)))
    if home is None and table is not None and table.values.get("cuda_home", "").startswith("None"):
        home = ""
    if home == "None":
        home, missing = "", False
    facts = Toolkit(
        nvcc=tuple(dict.fromkeys(found)) or None,
        cuda_home=home,
        cuda_home_exists=False if missing else None,
        compilers=tuple(compilers_.values()) or None,
    )
    return None if facts == Toolkit() else facts


def libraries(merged: Merged, environment: dict[str, str] | None) -> Libraries | None:
    """The system's cuDNN files, in the alphabet's order (collect_env cannot tell which is used), and the loader's path."""
    sheet = merged.get("collect_env")
    files = []
    for path in sheet.lists.get("cudnn", [])[:64] if sheet else ():
        found = _CUDNN.search(path)
        if found:
            # collect_env asks `ldconfig -p`, and %CUDA_PATH%\\bin on Windows.
            via = "ld.so.cache" if path.startswith("/") else "CUDA_PATH"
            files.append(LibraryFile(name=f"lib{found[2].lower()}", path=path, version=found[3], via=via))
    search = (environment or {}).get("LD_LIBRARY_PATH")
    facts = Libraries(
        files=tuple(files) or None,
        ld_library_path=tuple(part for part in search.split(":") if part) if search is not None else None,
    )
    return None if facts == Libraries() else facts


def _first(values_: Iterable[T | None]) -> T | None:
    return next((value for value in values_ if value is not None), None)


def _machine(value: str) -> str | None:
    return value if value in ("x86_64", "aarch64", "arm64", "AMD64", "ARM64", "ppc64le") else None


def _lightning_system(merged: Merged) -> str | None:
    return merged.first("system.os", lambda v: v if v in ("Linux", "Windows", "Darwin") else None)


def _gigabytes(value: str) -> int | None:
    found = re.match(r"(\d{1,6}(?:\.\d{1,3})?)\s*GB", value)
    return int(float(found[1]) * 1024**3) if found else None


def _msvc(value: str) -> str | None:
    found = re.search(r"\b(19\.\d{2}\.\d{4,6}(?:\.\d)?)\b", value)
    return found[1] if found else None
