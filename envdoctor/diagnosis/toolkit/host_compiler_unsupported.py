"""The host compiler is newer than this nvcc accepts.

What it is
    nvcc compiles the host half of a CUDA file with the system's C++ compiler and refuses one that is newer than it knows:
    'unsupported GNU version! gcc versions later than 13 are not supported'. It matters only to those who build extensions.

Told apart by
    The version of the compiler that nvcc takes (NVCC_CCBIN, CUDAHOSTCXX, CXX, else gcc of PATH) against the newest that this
    nvcc's headers accept, and a sign that somebody builds here; or the refusal itself. With -ccbin or
    -allow-unsupported-compiler in NVCC's flags nothing is said.

Repair
    An older compiler beside the newer one, named to nvcc; or a newer toolkit of the same CUDA major.

Sources
    crt/host_config.h of each toolkit; torch/utils/cpp_extension.py, CUDA_GCC_VERSIONS
"""

from __future__ import annotations

from envdoctor.diagnosis.building import builders_compiler, builders_nvcc, building, install_compiler, minor
from envdoctor.diagnosis.companions import major_of
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.installation import uses_conda
from envdoctor.diagnosis.repairs.python_environment import conda_install
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.message_files import beside

MESSAGES = beside(__file__)


@diagnosis(
    "host-compiler-unsupported",
    layer=Layer.TOOLKIT,
    severity=Severity.WARNING,
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine, None),
)
def host_compiler_unsupported(machine: Snapshot, world: Knowledge) -> Finding | None:
    nvcc, compiler = builders_nvcc(machine), builders_compiler(machine)
    cuda = minor(nvcc.version if nvcc else None)
    accepted = world.host_compilers(cuda) if cuda else None
    newest = accepted.gcc_max if accepted else None
    said = first_said(machine, MESSAGES)
    if said is not None:
        return Finding(
            summary="nvcc refused the host compiler: it is newer than this CUDA toolkit knows"
            + (f" (CUDA {cuda} takes gcc up to {newest})." if newest else "."),
            evidence=(said.evidence(), *_facts(machine)),
            fixes=_fixes(machine, newest or _named_bound(said.text)),
        )
    reason = building(machine)
    flags = f"{machine.variable('NVCC_APPEND_FLAGS') or ''} {machine.variable('NVCC_PREPEND_FLAGS') or ''}"
    if reason is None or "ccbin" in flags or "allow-unsupported" in flags or nvcc is None or newest is None:
        return None
    have = major_of(compiler.version) if compiler and not compiler.name.startswith(("clang", "cl")) else None
    # 'c++' may be clang, whose numbers are others.
    if compiler is None or have is None or have <= newest or compiler.name not in ("gcc", "g++"):
        return None
    return Finding(
        summary=f"{compiler.name} {compiler.version} is newer than nvcc {nvcc.version} accepts (up to gcc {newest}): "
        "building extensions will fail. Running torch is not affected.",
        evidence=(*_facts(machine), reason),
        fixes=_fixes(machine, newest),
        confidence=0.8,
    )


def _facts(machine: Snapshot) -> tuple[Evidence, ...]:
    nvcc, compiler = builders_nvcc(machine), builders_compiler(machine)
    return (
        *((fact("toolkit.nvcc", f"{nvcc.path} {nvcc.version}"),) if nvcc else ()),
        *((fact("toolkit.compilers", f"{compiler.name} {compiler.version}"),) if compiler else ()),
    )


def _named_bound(text: str) -> int | None:
    """13 of 'gcc versions later than 13 are not supported'."""
    word = text.partition("versions later than ")[2].partition(" ")[0]
    return int(word) if word.isdecimal() else None


def _fixes(machine: Snapshot, newest: int | None) -> tuple[Fix, ...]:
    if machine.host is not None and machine.host.system == "Windows":
        return (
            Fix(
                title="Install the build tools of the Visual Studio that this toolkit accepts, or a newer toolkit",
                note="Visual Studio Installer, 'Individual components': an older MSVC toolset for C++.",
            ),
        )
    if newest is None:
        return (
            Fix(
                title="Name an older compiler to the build",
                commands=("export CC=gcc-MAJOR CXX=g++-MAJOR NVCC_CCBIN=g++-MAJOR",),
                note="MAJOR: the newest that the message allows.",
            ),
        )
    by_conda = uses_conda(machine) or bool(machine.interpreter and machine.interpreter.environment == "conda")
    install = install_compiler(machine, newest)
    names = "gcc g++" if any("toolset" in line for line in install) else f"gcc-{newest} g++-{newest}"
    cc, cxx = names.split()
    fixes = [
        Fix(
            title=f"Install gcc {newest} beside the newer one, and build with it",
            commands=(*install, f"export CC={cc} CXX={cxx} NVCC_CCBIN={cxx} CUDAHOSTCXX={cxx}"),
            needs_root=True,
            note=None if install else f"Install gcc {newest} from your distribution first.",
            verify=f"{cxx} --version",
        )
    ]
    if by_conda:
        fixes.insert(
            0,
            conda_install(
                machine,
                ["-c", "conda-forge", f"gxx_linux-64={newest}", f"gcc_linux-64={newest}"],
                title=f"Install gcc {newest} into the conda environment (no root); activate it again afterwards",
            ),
        )
    return tuple(fixes)
