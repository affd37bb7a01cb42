"""Building CUDA extensions: whether anybody does it here, and which compilers it takes.

The rules are those of torch.utils.cpp_extension (torch 2.15): CUDA_HOME or CUDA_PATH, else the folder above the nvcc on PATH,
else /usr/local/cuda; a CUDA major other than torch's is refused, another minor is not.
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Fix
from envdoctor.diagnosis.repairs.installation import uses_conda
from envdoctor.diagnosis.repairs.python_environment import conda_install, quoted
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.software import Compiler, Nvcc
from envdoctor.planning.distributions import family, nvidia_repository
from envdoctor.reading.messages.loader_errors import first_saying

# What a failing build says: setuptools, ninja through cpp_extension, and nvcc itself.
FAILED_BUILD = (
    "bin/nvcc' failed",
    "error compiling objects for extension",
    "error building extension",
    "failed building wheel for",
    "ninja: build stopped",
)


def _same_version(machine: Snapshot) -> Fix:
    """Where torch's CUDA version is not known: what asks for it stands in the commands."""
    title = "Install the CUDA toolkit of the version that torch was built with, and let CUDA_HOME name it"
    if machine.host is not None and machine.host.system == "Windows":
        return Fix(
            title=title,
            commands=(
                'python -c "import torch; print(torch.version.cuda)"',
                "# install that toolkit, then, with its version for VERSION:",
                'set "CUDA_HOME=C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA\\vVERSION"',
            ),
            note="Download: https://developer.nvidia.com/cuda-toolkit-archive",
            verify="nvcc --version",
        )
    return Fix(
        title=title,
        commands=(
            'CUDA=$(python -c "import torch; print(torch.version.cuda)")',
            'conda install -c conda-forge "cuda-nvcc=$CUDA"   # without root, in a conda environment',
            'export CUDA_HOME="/usr/local/cuda-$CUDA"   # after an installation by the system\'s packages',
            'export PATH="$CUDA_HOME/bin:$PATH"',
        ),
        note="Download: https://developer.nvidia.com/cuda-toolkit-archive",
        verify="nvcc --version",
    )


def building(machine: Snapshot) -> Evidence | None:
    """What shows that extensions are built here; None where nothing does. torch alone needs no toolkit."""
    failed = first_saying(machine, *FAILED_BUILD)
    if failed is not None:
        return failed.evidence()
    for build in (machine.interpreter.extension_builds or ()) if machine.interpreter else ():
        # torchvision's wheels say this of themselves too.
        if build.cuda and build.distribution != "torchvision":
            return fact("interpreter.extension_builds", f"{build.distribution}, built with CUDA {build.cuda}")
    for name in ("TORCH_CUDA_ARCH_LIST", "CUDA_HOME"):
        value = machine.variable(name)
        if value:
            return fact(f"environment.{name}", value)
    return None


def builders_nvcc(machine: Snapshot) -> Nvcc | None:
    """The nvcc that torch's extension builder takes; None where it finds none, or that is not known."""
    toolkit = machine.toolkit
    if toolkit is None or toolkit.nvcc is None:
        return None
    if toolkit.cuda_home:
        found = [n for n in toolkit.nvcc if "CUDA_HOME" in n.found_by or n.path == f"{toolkit.cuda_home}/bin/nvcc"]
        found = found or [n for n in toolkit.nvcc if "CUDA_PATH" in n.found_by]
        return found[0] if found else None
    on_path = [n for n in toolkit.nvcc if "PATH" in n.found_by]
    return on_path[0] if on_path else next((n for n in toolkit.nvcc if n.path == "/usr/local/cuda/bin/nvcc"), None)


def minor(version: str | None) -> str | None:
    """'12.8' of '12.8.93'; None for a version without a minor."""
    parts = (version or "").split(".")
    return ".".join(parts[:2]) if len(parts) >= 2 else None


def fitting_nvcc(machine: Snapshot) -> Nvcc | None:
    """An nvcc on this machine whose major is that of torch's CUDA, the same minor first."""
    cuda = machine.torch.cuda if machine.torch else None
    found = machine.toolkit.nvcc if machine.toolkit else None
    if cuda is None or not found:
        return None
    same = [n for n in found if (n.version or "").split(".")[0] == cuda.split(".")[0]]
    return next((n for n in same if minor(n.version) == minor(cuda)), same[0] if same else None)


def toolkit_fixes(machine: Snapshot) -> tuple[Fix, ...]:
    """Puts a toolkit of torch's own CUDA version in front: one that is there, from conda, or from the system's packages."""
    cuda = minor(machine.torch.cuda) if machine.torch else None
    present = fitting_nvcc(machine)
    fixes = []
    if present is not None and (present.resolved or present.path).startswith("/"):
        folder = present.path.rpartition("/bin/")[0]
        fixes.append(
            Fix(
                title=f"Build with the CUDA {present.version} that is already at {folder}",
                commands=(f"export CUDA_HOME={quoted([folder])}", 'export PATH="$CUDA_HOME/bin:$PATH"'),
                verify="nvcc --version",
            )
        )
    if cuda is None:
        return tuple(fixes) or (_same_version(machine),)
    if uses_conda(machine) or (machine.interpreter and machine.interpreter.environment == "conda"):
        fixes.append(
            conda_install(
                machine,
                ["-c", "conda-forge", f"cuda-nvcc={cuda}", f"cuda-version={cuda}"],
                title=f"Install nvcc {cuda} into the conda environment (no root)",
            )
        )
    fixes.append(_system_toolkit(machine, cuda))
    return tuple(fixes)


def _system_toolkit(machine: Snapshot, cuda: str) -> Fix:
    title = f"Install the CUDA toolkit {cuda}, the version that torch was built with (the driver stays as it is)"
    package = f"cuda-toolkit-{cuda.replace('.', '-')}"
    kind = family(machine)
    setup = nvidia_repository(machine)
    commands: tuple[str, ...] = ()
    if setup and kind in ("ubuntu", "debian"):
        commands = (*setup, "sudo apt-get update", f"sudo apt-get install -y {package}")
    elif setup and kind in ("rhel", "fedora"):
        commands = (*setup, f"sudo dnf install -y {package}")
    elif setup and kind == "suse":
        commands = (*setup, f"sudo zypper install -y {package}")
    exports: tuple[str, ...] = (f"export CUDA_HOME=/usr/local/cuda-{cuda}", 'export PATH="$CUDA_HOME/bin:$PATH"')
    if machine.host and machine.host.system == "Windows":
        exports = (f'set "CUDA_HOME=C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA\\v{cuda}"',)
    return Fix(
        title=title,
        commands=(*commands, *exports),
        note=None
        if commands
        else f"Download of {cuda}, to be installed first: https://developer.nvidia.com/cuda-toolkit-archive",
        needs_root=True,
        verify="nvcc --version",
    )


def builders_compiler(machine: Snapshot) -> Compiler | None:
    """The host compiler that nvcc is given: NVCC_CCBIN or CUDAHOSTCXX, CXX or CC, else gcc of PATH."""
    found = {compiler.name: compiler for compiler in (machine.toolkit.compilers or () if machine.toolkit else ())}
    for variable in ("NVCC_CCBIN", "CUDAHOSTCXX", "CXX", "CC"):
        value = machine.variable(variable)
        if value:
            return found.get(value)
    return next((found[name] for name in ("g++", "gcc", "c++", "cl") if name in found), None)


def install_compiler(machine: Snapshot, major: int) -> tuple[str, ...]:
    """The commands that install gcc of this major beside the one that is there; () where its package is not known."""
    kind = family(machine)
    if kind in ("ubuntu", "debian"):
        return ("sudo apt-get update", f"sudo apt-get install -y gcc-{major} g++-{major}")
    if kind == "suse":
        return (f"sudo zypper install -y gcc{major} gcc{major}-c++",)
    if kind == "rhel":
        return (f"sudo dnf install -y gcc-toolset-{major}", f"source /opt/rh/gcc-toolset-{major}/enable")
    if kind == "arch":
        return (f"sudo pacman -S gcc{major}",)
    return ()
