"""A cuDNN library that is needed cannot be found.

What it is
    torch's CUDA builds load libcudnn and, on first use, its parts (libcudnn_ops, libcudnn_cnn, ...). On Linux they lie in the
    wheel nvidia-cudnn-cu12 or -cu13 (in torch/lib for older builds). Other programs (inference runtimes) look for a cuDNN of the
    major version that they were built with, on the loader's path.

Told apart by
    The loader's own error naming a libcudnn file; or torch's pin on a cuDNN wheel that is not installed, or files of that wheel
    that are gone, while nothing has shown that torch works. A cuDNN that is found and does not fit is `cudnn-version-mismatch`.

Repair
    Install the wheel that torch pins. When the missing file is of another major than torch's, the program that wants it was made
    for that cuDNN: update that program, or give it its own cuDNN by LD_LIBRARY_PATH.

Sources
    torch's metadata (Requires-Dist); docs.nvidia.com/deeplearning/cudnn, 'Library layout'
"""

from __future__ import annotations

import re

from envdoctor.diagnosis import cudnn_facts
from envdoctor.diagnosis.companions import pins
from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import install_into, pinned, reinstall, run_python
from envdoctor.diagnosis.repairs.torch_install import restore_torch
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Distribution
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import LoaderError, loader_errors, soname_major
from envdoctor.reading.messages.message_files import beside

NEWEST_MAJOR = 9
"""Of cuDNN. Source: knowledge, torch's releases since 2.4."""
PROGRAMS = (
    ("ctranslate2", "ctranslate2"), ("faster_whisper", "ctranslate2"), ("faster-whisper", "ctranslate2"),
    ("whisperx", "ctranslate2"), ("onnxruntime", "onnxruntime-gpu"),
)  # fmt: skip
"""What their words hold, and the distribution that loads cuDNN itself."""


MESSAGES = beside(__file__)


@diagnosis(
    "cudnn-missing",
    layer=Layer.LIBRARIES,
    severity=Severity.ERROR,
    follows_from=("torch-install-corrupt", "nvidia-wheels-mismatch"),
    messages=MESSAGES,
    remedy=lambda machine, world: _for_whom(machine, world, _heard_major(machine)),
)
def cudnn_missing(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch = machine.torch
    error = next((e for e in loader_errors(machine) if e.kind == "missing" and "cudnn" in e.stem.lower()), None)
    wheel = _wheel(machine)
    gone = (*wheel.missing_files, *wheel.damaged_files) if wheel else ()
    absent = next((pin for pin, _ in pins(machine.interpreter, prefix="nvidia-cudnn-") if pin.installed is None), None)
    if error is not None:
        return _by_error(machine, world, error)
    run = torch.run if torch else None
    if run is not None and (run.outcome == "ok" or run.cudnn_version is not None):
        return None  # found somewhere
    if run is not None and run.outcome == "import-error" and "cudnn" not in (run.error or "").lower():
        return None  # something else stops it
    if gone and wheel is not None:
        return Finding(
            summary=f"Files of {wheel.name} {wheel.version} are gone or damaged: {', '.join(gone[:3])}.",
            evidence=(fact(f"interpreter.distributions.{wheel.name}.missing_files", gone),),
            fixes=(_reinstall(machine, world),),
        )
    if absent is None:
        return None
    return Finding(
        summary=f"torch pins {absent.requirement.partition(';')[0].strip()}, and no such wheel is installed.",
        evidence=(fact("interpreter.broken_pins", absent.requirement),),
        fixes=(_reinstall(machine, world),),
        confidence=0.8,
    )


def _by_error(machine: Snapshot, world: Knowledge, error: LoaderError) -> Finding:
    wanted, have = soname_major(error.library), cudnn_facts.built(machine) or cudnn_facts.found(machine)
    have = have or _of_release(machine, world)
    ours = have.partition(".")[0] if have else None
    if wanted is not None and ours is not None and str(wanted) != ours and error.said.fact != "torch.run.error":
        return Finding(
            summary=f"A program looks for cuDNN {wanted} ({error.library}), and this environment has torch's cuDNN {ours}.",
            evidence=(error.said.evidence(), fact("torch.cudnn_built", have)),
            fixes=(_update_program(machine, ours, wanted), _other_major(machine, wanted)),
        )
    return Finding(
        summary=f"The loader cannot find {error.library}.",
        evidence=(error.said.evidence(), *((fact("torch.cudnn_built", have),) if have else ())),
        fixes=_for_whom(machine, world, wanted),
        confidence=1.0 if machine.torch else 0.8,
    )


def _for_whom(machine: Snapshot, world: Knowledge, wanted: int | None) -> tuple[Fix, ...]:
    """A program with a cuDNN of its own asks for the major that it was made with; torch brings the one that it needs."""
    if wanted is None or machine.torch is not None:
        return (_reinstall(machine, world),)
    update, own = _update_program(machine, None, wanted), _other_major(machine, wanted)
    of_program = (update, own) if update.commands else (own, update)
    # Nothing says who asks. No torch that has wheels for today's Pythons wants cuDNN 8.
    asks = _program(machine) is not None or wanted < NEWEST_MAJOR
    return of_program if asks else (_reinstall(machine, world), *of_program)


def _program(machine: Snapshot) -> str | None:
    """The program that looks for a cuDNN itself, where the text names one of the well-known ones."""
    text = "\n".join(machine.messages).lower()
    return next((name for words, name in PROGRAMS if words in text), None)


def _of_release(machine: Snapshot, world: Knowledge) -> str | None:
    """The cuDNN of torch's release for this CUDA, which its builds for other systems have as well; where the CUDA is not known,
    that of any, if all are of one major version."""
    torch = machine.torch
    if torch is None or torch.release is None or not torch.release[:1].isdigit():
        return None
    found = [
        build.cudnn
        for build in world.torch_builds(torch.release)
        if build.torch == torch.release and build.cudnn and torch.cuda in (None, build.cuda)
    ]
    return found[0] if found and len({cudnn.partition(".")[0] for cudnn in found}) == 1 else None


def _update_program(machine: Snapshot, ours: str | None, wanted: int) -> Fix:
    name = _program(machine)
    title = f"Take a release of {name or 'the program that asks for it'} that is made for " + (
        f"torch's cuDNN {ours}" if ours else "the cuDNN that is there"
    )
    # Only forwards: an older cuDNN than the program's own was dropped by it, and a newer one is what its updates are for.
    if name is None or (ours is not None and int(ours) < wanted):
        return Fix(title=title, note="The traceback above the message names the program.")
    return install_into(machine, ["--upgrade", name], title=title)


def _other_major(machine: Snapshot, major: int) -> Fix:
    cuda = (machine.torch.cuda or "12").partition(".")[0] if machine.torch else "12"
    name = f"nvidia-cudnn-cu{cuda}"
    windows = bool(machine.host and machine.host.system == "Windows")
    folder = f"%LOCALAPPDATA%\\cudnn{major}" if windows else f"$HOME/.local/cudnn{major}"
    use = f'LD_LIBRARY_PATH="{folder}/nvidia/cudnn/lib" YOUR_COMMAND'
    if windows:
        use = f'set "PATH={folder}\\nvidia\\cudnn\\bin;%PATH%"'
    fix = install_into(machine, ["--target", "FOLDER", "--no-deps", f"{name}=={major}.*"], title="")
    return Fix(
        title=f"Give the program that asks for it a cuDNN {major} of its own, beside torch's",
        commands=(
            fix.commands[0].replace("FOLDER", f'"{folder}"'),
            use,
        ),
        note="Only for that program: cuDNN of another major has other file names, so that both can live together.",
    )


def _wheel(machine: Snapshot) -> Distribution | None:
    interpreter = machine.interpreter
    cuda = (machine.torch.cuda or "").partition(".")[0] if machine.torch else ""
    return interpreter.distribution(f"nvidia-cudnn-cu{cuda}") if interpreter else None


def _reinstall(machine: Snapshot, world: Knowledge) -> Fix:
    names = [f"nvidia-cudnn-cu{major}" for major in (11, 12, 13, 14)]
    requirements = pinned(machine, world, names)
    if not requirements:
        return restore_torch(machine, world)
    fix = reinstall(machine, requirements, None, title=f"Install {requirements[0]}, which torch pins")
    check = "import torch; print(torch.backends.cudnn.version())"
    return Fix(title=fix.title, commands=fix.commands, verify=run_python(machine, check))


def _heard_major(machine: Snapshot) -> int | None:
    """8 of 'Library cudnn64_8.dll is not found', where the loader's own form is not kept."""
    found = (re.search(r"cudnn\w*?64_(\d+)\.dll|libcudnn\w*\.so\.(\d+)", line) for line in machine.messages)
    return next((int(match[1] or match[2]) for match in found if match), None)
