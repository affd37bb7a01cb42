"""Another CUDA, NCCL or C++ library, or a stub, is loaded in place of the right one.

What it is
    LD_LIBRARY_PATH, LD_PRELOAD, a conda environment or the system put a library of the same name before the one that torch
    brings. NVIDIA's wheels find each other by RUNPATH, which LD_LIBRARY_PATH overrules: cuSPARSE 12.3 then gets an nvJitLink of
    12.1 and lacks a symbol. A link-time stub of libcuda can never run anything. An old libstdc++ lacks versions that others need.

Told apart by
    What the import of torch really mapped, where it then failed; the loader's own error while LD_LIBRARY_PATH is set and
    the wheels are those that torch pins; a stub among the mapped libraries. A system CUDA that is not loaded is harmless, and so
    is a foreign library with which torch works. cuDNN has its own: `cudnn-shadowed`.

Repair
    Take the foreign folder out of LD_LIBRARY_PATH.

Sources
    ld.so(8); torch/__init__.py, `_preload_cuda_deps`; CUDA error 34, CUDA_ERROR_STUB_LIBRARY
"""

from __future__ import annotations

from envdoctor.diagnosis.companions import pins
from envdoctor.diagnosis.library_copies import foreign, mapped, own_wheel, path_evidence, steered, without_path
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.installation import uses_conda
from envdoctor.diagnosis.repairs.python_environment import conda_install, run_python, verify_torch
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import CUDA_STEMS, LoaderError, first_saying, loader_errors
from envdoctor.reading.messages.message_files import beside

STUB_LIBRARY = 34
BLAMED = ("cublas", "cusparse", "cusolver", "cufft", "nvrtc", "nvjitlink", "symbol", "shared object")


MESSAGES = beside(__file__)


@diagnosis(
    "library-path-conflict",
    layer=Layer.LIBRARIES,
    severity=Severity.ERROR,
    follows_from=("torch-duplicate-install", "nvidia-wheels-mismatch"),
    messages=MESSAGES,
    remedy=lambda machine, _: (without_path(machine, verify_torch(machine)),),
)
def library_path_conflict(machine: Snapshot, world: Knowledge) -> Finding | None:
    return _stub(machine) or _mapped(machine) or _by_error(machine) or _libstdcxx(machine)


def _stub(machine: Snapshot) -> Finding | None:
    cuda, taken = machine.cuda_driver, mapped(machine, "libcuda")
    paths = [path for path in (cuda.library if cuda else None, taken.path if taken else None) if path]
    stub = next((path for path in paths if "/stubs/" in path), None)
    said = first_saying(machine, "CUDA driver is a stub library", "CUDA_ERROR_STUB_LIBRARY")
    refused = cuda is not None and cuda.init_code == STUB_LIBRARY
    if (cuda is not None and cuda.init_code == 0) or (stub is None and said is None and not refused):
        return None
    where = f" ({stub})" if stub else ""
    return Finding(
        summary=f"The loader takes a link-time stub of libcuda{where}: it is for compilers and runs nothing.",
        evidence=(
            *((fact("cuda_driver.library", stub),) if stub else ()),
            *((said.evidence(),) if said else ()),
            *path_evidence(machine),
        ),
        fixes=(
            Fix(
                title="Take the stubs folder out of LD_LIBRARY_PATH; compilers find it by -L or LIBRARY_PATH",
                commands=(
                    'export LD_LIBRARY_PATH="$(echo "$LD_LIBRARY_PATH" | tr : "\\n" | grep -v /stubs | paste -sd:)"',
                    "sudo rm -f /usr/local/cuda/lib64/stubs/libcuda.so.1 && sudo ldconfig   # where an image made this link",
                ),
                needs_root=True,
                verify=verify_torch(machine),
            ),
        ),
    )


def _mapped(machine: Snapshot) -> Finding | None:
    """A CUDA library from outside the environment, in a process that failed."""
    run = machine.torch.run if machine.torch else None
    said = (run.computation or "").lower() if run else ""
    # Only failures that such a library can bring about: not those of the driver, of memory, of missing device code.
    if run is None or not (run.outcome == "crash" or any(word in said for word in BLAMED)):
        return None
    strangers = [
        library
        for library in run.mapped or ()
        if library.name in CUDA_STEMS
        and foreign(machine, library.path)
        and own_wheel(machine, library.name) is not None
    ]
    if not strangers:
        return None
    first = strangers[0]
    return Finding(
        summary=f"torch loads {first.path} in place of the {first.name} {own_wheel(machine, first.name)} of its own wheels, "
        "and its computation fails.",
        evidence=(
            *(fact("torch.run.mapped", library.path) for library in strangers[:4]),
            fact("torch.run.computation", run.computation or run.outcome),
            *path_evidence(machine),
        ),
        fixes=(without_path(machine, verify_torch(machine)),),
        confidence=0.5,
    )


def _by_error(machine: Snapshot) -> Finding | None:
    error = next((e for e in loader_errors(machine) if e.kind == "symbol" and e.of_cuda), None)
    if error is None or any(True for _ in pins(machine.interpreter, "cuda-toolkit", prefix="nvidia-")):
        return None
    known = steered(machine)
    libraries = machine.libraries
    # A wheel's CUDA library that misses another's function: the wheels pin each other, so the other came from the path.
    by_path = (
        error.library != ""
        and not error.of_torch
        and not uses_conda(machine)
        and not (libraries and libraries.ld_library_path == ())
    )
    if not known and not by_path and not uses_conda(machine):
        return None
    other: tuple[Evidence, ...] = (fact("loader: provider", error.provider),) if error.provider else ()
    return Finding(
        summary=f"{error.library} lacks {error.wanted}: "
        "a CUDA library of another version is found before the one that belongs to it.",
        evidence=(error.said.evidence(), *other, *path_evidence(machine)),
        fixes=(
            without_path(machine, run_python(machine, "import torch")),
            Fix(
                title="If it fails without the variable as well, a wheel is wrong: see which file is taken",
                commands=(f"LD_DEBUG=libs {run_python(machine, 'import torch')} 2>&1 | grep -i -A3 {_name(error)}",),
            ),
        ),
        confidence=0.8 if known else 0.5,
    )


def _name(error: LoaderError) -> str:
    return (error.provider or error.library).rpartition("/")[2].partition(".so")[0]


def _libstdcxx(machine: Snapshot) -> Finding | None:
    """An old libstdc++ in place of a newer one that is there. One that is the system's own and simply old is glibc-too-old."""
    error = next((e for e in loader_errors(machine) if e.kind == "version" and e.wanted.startswith("GLIBCXX_")), None)
    if error is None or "/" not in error.library:
        return None
    of_system = error.library.startswith(("/lib", "/usr/lib"))
    interpreter, host = machine.interpreter, machine.host
    in_conda = [p for p in (interpreter.conda_packages or () if interpreter else ()) if p.name.startswith("libstdcxx")]
    by_conda = (
        bool(in_conda) or "conda" in error.provider or (interpreter is not None and interpreter.environment == "conda")
    )
    if of_system and not by_conda:
        return None
    wanted = error.wanted.removeprefix("GLIBCXX_")
    system = host.libstdcxx if host else None
    if of_system:
        fixes: tuple[Fix, ...] = (
            conda_install(
                machine,
                ["-c", "conda-forge", "libstdcxx-ng"],
                title="Let the conda environment's own libstdc++ be found first",
                note='Then start with LD_LIBRARY_PATH="$CONDA_PREFIX/lib" when the error stays.',
            ),
        )
    elif by_conda or "conda" in error.library or "/envs/" in error.library:
        fixes = (
            conda_install(
                machine, ["-c", "conda-forge", "libstdcxx-ng"], title="Update libstdc++ in the conda environment"
            ),
        )
    else:
        fixes = (without_path(machine, run_python(machine, "import torch")),)
    by = error.provider.rpartition("/")[2] or "a library"
    return Finding(
        summary=f"{error.library} is loaded, and it is too old: {by} needs {error.wanted}.",
        evidence=(
            error.said.evidence(),
            *((fact("host.libstdcxx", system),) if system else ()),
            *path_evidence(machine),
        ),
        fixes=fixes,
        confidence=0.8 if system is None or of_system or _at_least(system, wanted) else 0.5,
    )


def _at_least(have: str, need: str) -> bool:
    return [int(p) for p in have.split(".") if p.isdecimal()] >= [int(p) for p in need.split(".") if p.isdecimal()]
