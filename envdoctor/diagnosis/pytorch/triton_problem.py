"""triton is missing, of another version than torch needs, or cannot compile here.

What it is
    torch.compile and many kernels on NVIDIA GPUs go through triton. Each torch is made for one triton release. At run time
    triton compiles a small C file against Python.h and libcuda.so.1, so it needs a C compiler, Python's headers and the driver's
    library in the loader's cache.

Told apart by
    torch's own pin on triton against what is installed (another patch release works); triton's and the compiler's own words. Not
    expected, and not missed, where torch does not pin it: macOS, CPU and most Windows builds; ROCm and XPU builds pin their own.

Repair
    The triton that torch pins; the compiler or the headers from the distribution.

Sources
    torch's metadata; triton/runtime/build.py, triton/backends/nvidia/driver.py
"""

from __future__ import annotations

from packaging.requirements import Requirement

from envdoctor.diagnosis.companions import pins
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.triton import install_compiler, install_headers, install_triton, newer_ptxas
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import BrokenPin
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import Said, first_saying
from envdoctor.reading.messages.message_files import beside

NAMES = ("triton", "pytorch-triton", "pytorch-triton-rocm", "pytorch-triton-xpu", "triton-rocm", "triton-xpu")
NO_COMPILER = ("Failed to find C compiler",)
NO_HEADERS = ("Python.h: No such file",)
NO_LIBCUDA = ("libcuda.so cannot found", "cannot find -lcuda", "cannot find -l:libcuda")
NO_TRITON = (
    "Cannot find a working triton installation",
    "No module named 'triton",
    "TritonMissing",
    "triton not found; flop",
)
WRONG_TRITON = ("from 'triton", "module 'triton' has no attribute", "module 'triton.")
NO_BACKEND = ("0 active drivers",)
OLD_PTXAS = ("is not defined for option 'gpu-name'",)
TOO_OLD = ("too old to be supported by the triton GPU compiler",)


MESSAGES = beside(__file__)


@diagnosis(
    "triton-problem",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("driver-missing", "driver-not-loaded", "container-no-gpu", "gpu-arch-too-old-for-torch"),
    messages=MESSAGES,
    remedy=lambda machine, world: _remedy(machine, world),  # noqa: PLW0108  it stands below
)
def triton_problem(machine: Snapshot, world: Knowledge) -> Finding | None:
    return _cannot_compile(machine) or _by_pin(machine, world) or _by_words(machine, world)


def _by_pin(machine: Snapshot, world: Knowledge) -> Finding | None:
    for pin, requirement in pins(machine.interpreter, *NAMES):
        if pin.distribution != "torch":
            continue
        if pin.installed is not None and not _another_minor(pin, requirement):
            continue
        said = first_saying(machine, *NO_TRITON, *WRONG_TRITON)
        run = machine.torch.run if machine.torch else None
        works = run is not None and run.outcome == "ok" and run.computation in (None, "ok") and said is None
        wanted = f"{requirement.name}{requirement.specifier}"
        return Finding(
            summary=f"torch needs {wanted} and "
            + (f"finds {pin.installed}" if pin.installed else "does not find it")
            + ": torch.compile and triton's kernels will fail. The rest of torch is not affected.",
            severity=Severity.WARNING if works or (pin.installed is None and said is None) else None,
            evidence=(
                fact("interpreter.broken_pins", f"{wanted}, installed {pin.installed or 'none'}"),
                *((said.evidence(),) if said else ()),
            ),
            fixes=(install_triton(machine, world),),
            confidence=1.0 if pin.installed is None else 0.8,
        )
    return None


def _another_minor(pin: BrokenPin, requirement: Requirement) -> bool:
    wanted = next((s.version for s in requirement.specifier if s.operator in ("==", "~=", "===")), None)
    return wanted is not None and wanted.split(".")[:2] != (pin.installed or "").split(".")[:2]


def _cannot_compile(machine: Snapshot) -> Finding | None:
    said = first_saying(machine, *NO_COMPILER)
    if said is not None:
        return _finding(said, "triton found no C compiler to build its launcher with.", install_compiler(machine))
    said = first_saying(machine, *NO_HEADERS)
    if said is not None:
        return _finding(
            said,
            "Python's headers (Python.h) are not installed; triton compiles against them.",
            install_headers(machine),
        )
    said = first_saying(machine, *NO_LIBCUDA)
    if said is not None:
        return _finding(
            said,
            "The linker or triton does not find the driver's libcuda.",
            Fix(
                title="Let the loader's cache know the driver's library",
                commands=("ldconfig -p | grep libcuda   # what is known now", "sudo ldconfig"),
                needs_root=True,
                note="In a container: the driver's libraries come with --gpus and the capability 'compute'. Or name the folder "
                "to triton: export TRITON_LIBCUDA_PATH=FOLDER_OF_libcuda.so.1",
            ),
        )
    return None


def _by_words(machine: Snapshot, world: Knowledge) -> Finding | None:
    said = first_saying(machine, *NO_TRITON)
    host = machine.host.system if machine.host else None
    if said is not None and host != "Darwin":
        return _finding(
            said, "torch.compile or a kernel needs triton, and it is not installed.", install_triton(machine, world)
        )
    said = first_saying(machine, *TOO_OLD)
    if said is not None:
        without = Fix(
            title="Run this model without torch.compile, or on a GPU that triton supports",
            commands=("export TORCHDYNAMO_DISABLE=1",),
        )
        return _finding(
            said, "triton has no code for so old a GPU: torch.compile cannot work on it, torch alone can.", without
        )
    said = first_saying(machine, *NO_BACKEND)
    if said is not None and "river" in said.text:
        return _finding(
            said,
            "triton sees no usable GPU driver.",
            Fix(title="See what the driver says", commands=("nvidia-smi -L", "ldconfig -p | grep libcuda")),
        )
    said = first_saying(machine, *WRONG_TRITON)
    if said is None or not ("cannot import name" in said.text or "no attribute" in said.text):
        return None
    return _finding(
        said,
        "The installed triton lacks what its caller expects: it is of another version.",
        install_triton(machine, world),
    )


def _finding(said: Said, summary: str, fix: Fix) -> Finding:
    return Finding(summary=summary, evidence=(said.evidence(),), fixes=(fix,), confidence=0.8)


def _remedy(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    """What a message that names no cause of its own leaves: a ptxas that is too old, no compiler, or another triton."""
    said = first_saying(machine, *OLD_PTXAS)
    if said is not None:
        return newer_ptxas(machine, world, said.text)
    return install_triton(machine, world), install_compiler(machine)
