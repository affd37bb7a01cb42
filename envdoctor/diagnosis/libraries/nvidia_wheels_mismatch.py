"""The nvidia-* wheels in the environment are not those that the installed torch pins.

What it is
    On Linux torch takes CUDA's libraries (cuBLAS, cuDNN, NCCL, ...) from wheels of exact versions. Another package, or an
    upgrade of torch alone, may put in others. A library that is too old lacks functions: 'undefined symbol: ncclCommRegister',
    'libcusparse.so.12: undefined symbol: __nvJitLink...'; one that is not there cannot be loaded.

Told apart by
    torch's own pins against what is installed. Wheels of another CUDA major that lie beside (-cu11 beside -cu12) are untidy, not
    broken; a newer version of the same major works, and a torch that was seen to work is believed. Without a wrong wheel but with
    LD_LIBRARY_PATH set it is `library-path-conflict`; a missing cuDNN alone is `cudnn-missing`.

Repair
    Install what torch pins over what is there.

Sources
    torch's metadata (Requires-Dist), and that of cuda-toolkit, which pins them from torch 2.13 on
"""

from __future__ import annotations

from collections.abc import Iterator

from packaging.requirements import Requirement

from envdoctor.diagnosis import cudnn_facts
from envdoctor.diagnosis.companions import pins
from envdoctor.diagnosis.library_copies import older, steered
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.installation import installation, uses_conda
from envdoctor.diagnosis.repairs.python_environment import (
    build_requirements,
    install_into,
    pinned,
    reinstall,
    run_python,
)
from envdoctor.diagnosis.repairs.torch_install import restore_torch
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import BrokenPin, Distribution, TorchRun
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import CUDA_STEMS, LoaderError, loader_errors, soname_major
from envdoctor.reading.messages.message_files import beside

PARTS = (
    "nccl",
    "nvjitlink",
    "nvshmem",
    "cusparselt",
    "cusparse",
    "cusolver",
    "cublas",
    "cufft",
    "curand",
    "cufile",
    "nvtx",
    "nvrtc",
)
"""Of the names of nvidia-* wheels and of what they hold."""
CUDA_OF_CUDSS_0 = "12"
FIRST_IN_WHEELS = 11
"""The first CUDA whose libraries torch takes from wheels."""
MOST_OF_THEM = 8
"""Of the wheels: a list that was cut by grep shows some only."""
CHECK = "import torch; print(torch.__version__, torch.cuda.is_available())"


MESSAGES = beside(__file__)


@diagnosis(
    "nvidia-wheels-mismatch",
    layer=Layer.LIBRARIES,
    severity=Severity.ERROR,
    follows_from=("torch-duplicate-install",),
    messages=MESSAGES,
    remedy=lambda machine, world: _wheel_of(machine, world, None) or (restore_torch(machine, world),),
    fits=lambda machine, world: False if _as_pinned(machine, world) or _by_path(machine) else None,
)
def nvidia_wheels_mismatch(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch, interpreter = machine.torch, machine.interpreter
    run = torch.run if torch else None
    error = next((e for e in loader_errors(machine) if e.of_cuda), None)
    # cuda-toolkit asks for the same wheel by several of its extras; the one that names a version says most.
    by_name = {
        r.name: (pin, r) for pin, r in sorted(_unfit(machine, world, run, error), key=lambda two: len(two[1].specifier))
    }
    unfit = tuple(by_name.values())
    gone = _gone(machine) if run is None or run.outcome != "ok" else ()
    if not unfit and not gone:
        return _by_error_alone(machine, world, error)
    convolves = run is not None and run.cudnn_convolution == "ok"
    refused = not convolves and any(requirement.name.startswith("nvidia-cudnn") for _, requirement in unfit)
    works = run is not None and run.outcome == "ok" and run.computation in (None, "ok") and not refused
    said = (error.said.evidence(),) if error else ()
    if gone and not unfit:
        files = [file for _, file in gone]
        again = dict.fromkeys(f"{wheel.name}=={wheel.version}" for wheel, _ in gone)
        return Finding(
            summary=f"Files of the CUDA libraries that torch loads are gone or are another wheel's: {', '.join(files[:3])}. "
            "nvidia-* wheels for different CUDA versions share names: one overwrites the other's, or takes them along.",
            evidence=(fact("interpreter.distributions.missing_files", files), *said),
            fixes=(reinstall(machine, list(again), None, title="Put these wheels back as they were"),),
        )
    names = "; ".join(f"{_wanted(pin)} is pinned, {pin.installed or 'nothing'} is installed" for pin, _ in unfit[:3])
    return Finding(
        summary=f"CUDA libraries in this environment are not those that torch was built with: {names}.",
        severity=Severity.WARNING if works else None,
        evidence=(
            *(
                fact("interpreter.broken_pins", f"{pin.distribution}: {_wanted(pin)}, installed {pin.installed}")
                for pin, _ in unfit
            ),
            *said,
        ),
        fixes=_fixes(machine, world, tuple(requirement for _, requirement in unfit)),
        confidence=1.0 if error is not None or interpreter is None else 0.8,
    )


def _unfit(
    machine: Snapshot, world: Knowledge, run: TorchRun | None, error: LoaderError | None
) -> Iterator[tuple[BrokenPin, Requirement]]:
    """The broken pins of torch, and of what it needs, that break or may break it."""
    proven = run is not None and (run.computation == "ok" or run.cudnn_convolution == "ok")
    imported = run is not None and run.outcome == "ok"
    known = pins(machine.interpreter, "cuda-toolkit", prefix="nvidia-")
    for pin, requirement in (*known, *_unmet_by_table(machine, world)):
        if pin.distribution != "torch" and not pin.distribution.startswith(("nvidia-", "cuda-toolkit")):
            continue
        cudnn = requirement.name.startswith("nvidia-cudnn")
        if pin.installed is None:
            # The library may come from elsewhere. cuDNN alone has a diagnosis of its own.
            if not imported and not cudnn:
                yield pin, requirement
            continue
        specifiers = [s for s in requirement.specifier if s.operator in ("==", ">=", "~=")]
        need = specifiers[0].version.removesuffix(".*") if specifiers else None
        if cudnn:
            if cudnn_facts.fits(pin.installed, need) is False:
                yield pin, requirement
            continue
        other_major = need is not None and pin.installed.partition(".")[0] != need.partition(".")[0]
        # A small computation proves little of the libraries that it does not call: those stay a risk.
        if other_major or older(pin.installed, need) or (error is not None and not proven):
            yield pin, requirement


def _unmet_by_table(machine: Snapshot, world: Knowledge) -> Iterator[tuple[BrokenPin, Requirement]]:
    """Where pins were not read (a dump): the wheels it lists that are not what the published build of this torch pins."""
    interpreter, torch = machine.interpreter, machine.torch
    if interpreter is None or interpreter.broken_pins is not None or torch is None or torch.run is None:
        return
    for requirement in _published_pins(machine, world):
        have = interpreter.distribution(requirement.name)
        version = have.version if have else None
        if version is not None and not requirement.specifier.contains(version, prereleases=True):
            yield BrokenPin(distribution="torch", requirement=str(requirement), installed=version), requirement


def _published_pins(machine: Snapshot, world: Knowledge) -> tuple[Requirement, ...]:
    """What the published build that this torch is pins of NVIDIA's wheels; () where it is not known which build it is."""
    here = installation(machine, world)
    if here.build is None or here.image is not None:
        return ()
    wanted = (Requirement(line) for line in build_requirements(here.build))
    return tuple(r for r in wanted if r.name.startswith("nvidia-"))


def _as_pinned(machine: Snapshot, world: Knowledge) -> bool:
    """Whether a list of packages shows every wheel that the build pins, each of the very version: then the path is it."""
    interpreter = machine.interpreter
    wanted = _published_pins(machine, world)
    if interpreter is None or interpreter.broken_pins is not None or len(wanted) < MOST_OF_THEM:
        return False
    have = {r.name: d.version for r in wanted if (d := interpreter.distribution(r.name)) is not None}
    fit = all(r.specifier.contains(have[r.name] or "0", prereleases=True) for r in wanted if r.name in have)
    return fit and len(have) >= MOST_OF_THEM


def _by_path(machine: Snapshot) -> bool:
    """Whether a library of the wheels lacks a function of another while the loader's path is known to be set."""
    error = next((e for e in loader_errors(machine) if e.of_cuda), None)
    return error is not None and error.kind == "symbol" and not error.of_torch and steered(machine)


def _gone(machine: Snapshot) -> tuple[tuple[Distribution, str], ...]:
    """Missing and damaged files of the wheels that torch itself pins."""
    interpreter = machine.interpreter
    own = interpreter.distribution("torch") if interpreter else None
    if interpreter is None or own is None:
        return ()
    names = {Requirement(line).name.lower() for line in own.requires}
    through = "cuda-toolkit" in names
    major = (machine.torch.cuda or "").partition(".")[0] if machine.torch else ""
    return tuple(
        (distribution, file)
        for distribution in interpreter.distributions or ()
        for file in (*distribution.missing_files, *distribution.damaged_files)
        if distribution.name.startswith("nvidia-")
        and "cudnn" not in distribution.name
        and ".so" in file
        and (distribution.name in names or (through and f"/cu{major}/" in file))
    )


def _by_error_alone(machine: Snapshot, world: Knowledge, error: LoaderError | None) -> Finding | None:
    """The loader's word without a wrong wheel: wheels, or the loader's path? LD_LIBRARY_PATH decides where it is known."""
    if error is None or steered(machine) or uses_conda(machine):
        return None
    # CUDA before 11 never came in wheels.
    if (soname_major(error.provider) or FIRST_IN_WHEELS) < FIRST_IN_WHEELS:
        return None
    # A library that CUDA's own library misses is taken from the path; what torch's own library misses is rather its wheel.
    if error.kind == "symbol" and error.library and not error.of_torch and not _wheels_known_good(machine):
        return None
    return Finding(
        summary=f"{error.library or 'A library'} cannot be loaded: "
        + (f"it lacks {error.wanted}" if error.wanted else "it is not there")
        + ". A CUDA library of another version than torch's is installed or found first.",
        evidence=(error.said.evidence(),),
        fixes=(
            *_wheel_of(machine, world, error),
            restore_torch(machine, world),
            Fix(
                title="Or, when this shows another CUDA folder, take it out of the path",
                commands=('echo "$LD_LIBRARY_PATH"',),
            ),
        ),
        confidence=0.5,
    )


def _wheel_of(machine: Snapshot, world: Knowledge, error: LoaderError | None) -> tuple[Fix, ...]:
    """The wheel of the library that is missing or of another version, as torch pins it; () where the pins are not known."""
    error = error or next((e for e in loader_errors(machine) if e.cuda_symbol or e.stem in CUDA_STEMS), None)
    if error is None:
        return ()
    if error.stem == "libcudss":
        return (_cudss(machine, world),)
    known = f"{error.wanted} {error.provider}" if error.kind == "symbol" else error.library
    part = next((part for part in PARTS if part in known.lower()), None)
    name = "cuda-nvrtc" if part == "nvrtc" else part
    wheels = [f"nvidia-{name}-cu{major}" for major in (11, 12, 13, 14)] if part else []
    wanted = pinned(machine, world, wheels)
    if not wanted:
        return ()
    fix = reinstall(machine, wanted, None, title=f"Install {wanted[0]}, which torch pins")
    return (Fix(title=fix.title, commands=fix.commands, verify=run_python(machine, CHECK)),)


def _cudss(machine: Snapshot, world: Knowledge) -> Fix:
    """Builds for Jetson use cuDSS and pin no wheel of it."""
    cuda = machine.torch.cuda if machine.torch else None
    major = (cuda or CUDA_OF_CUDSS_0).partition(".")[0]
    fix = install_into(machine, [f"nvidia-cudss-cu{major}"], title="Install cuDSS, which this build of torch loads")
    return Fix(
        title=fix.title,
        commands=fix.commands,
        note="Its folder below site-packages/nvidia may have to be put into LD_LIBRARY_PATH. Or install NVIDIA's package of the "
        "system, https://developer.nvidia.com/cudss.",
        verify=run_python(machine, CHECK),
    )


def _wheels_known_good(machine: Snapshot) -> bool:
    """LD_LIBRARY_PATH is known to be empty, so the path cannot be it."""
    libraries = machine.libraries
    return libraries is not None and libraries.ld_library_path == ()


def _wanted(pin: BrokenPin) -> str:
    return pin.requirement.partition(";")[0].strip()


def _fixes(machine: Snapshot, world: Knowledge, unfit: tuple[Requirement, ...]) -> tuple[Fix, ...]:
    wanted = [
        f"{requirement.name}{requirement.specifier}" for requirement in unfit if requirement.name != "cuda-toolkit"
    ]
    if len(wanted) != len(unfit):
        return (restore_torch(machine, world),)
    fix = reinstall(machine, wanted, None, title="Install the CUDA libraries that torch pins")
    return (
        Fix(
            title=fix.title,
            commands=fix.commands,
            note="If another package asks for the other version, the two cannot share one environment.",
            verify=run_python(machine, CHECK),
        ),
    )
