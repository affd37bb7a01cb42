"""Files of the installed torch are missing, mixed or truncated.

What it is
    The package is there, but not whole: an interrupted or doubled install, a full disk, an antivirus, two versions in one folder.
    Typical words: 'No module named torch._C', 'libtorch_cuda.so: cannot open shared object file', 'file too short', an undefined
    symbol of torch's own inside torch's own library, or a module 'torch' that has no attributes.

Told apart by
    torch's own list of files (RECORD) against the disk, two sets of metadata in one folder, or the loader's words about torch's
    own libraries. A torch that was seen to compute is whole, whatever was taken out of it on purpose. A file in the current
    folder that hides torch is `module-shadowed`.

Repair
    Remove every trace of it and install it once more.

Sources
    packaging.python.org, 'Recording installed projects'; the loader's messages
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import quoted
from envdoctor.diagnosis.repairs.torch_install import restore_torch
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.loader_errors import CUDA_STEMS, LoaderError, Said, loader_errors, said
from envdoctor.reading.messages.message_files import beside

SAID = (
    "No module named 'torch._C'",
    "cannot import name '_C' from 'torch'",
    "NameError: name '_C' is not defined",
    "module 'torch' has no attribute '__version__'",
)


MESSAGES = beside(__file__)


@diagnosis(
    "torch-install-corrupt",
    layer=Layer.PYTORCH,
    severity=Severity.ERROR,
    follows_from=("torch-duplicate-install", "module-shadowed"),
    messages=MESSAGES,
    remedy=lambda machine, world: (restore_torch(machine, world), *_leftovers(machine)),
)
def torch_install_corrupt(machine: Snapshot, world: Knowledge) -> Finding | None:
    torch, interpreter = machine.torch, machine.interpreter
    run = torch.run if torch else None
    if run is not None and run.outcome == "ok" and run.computation in (None, "ok") and not machine.messages:
        return None
    fixes = (restore_torch(machine, world), *_leftovers(machine))
    own = interpreter.distribution("torch") if interpreter else None
    if own is not None and own.editable:
        return None  # its files are where its sources are
    files = (*own.missing_files, *own.damaged_files) if own else ()
    gone = tuple(file for file in files if _vital(file))
    if gone and (run is None or run.outcome != "ok"):
        return Finding(
            summary=f"Files of torch {own.version if own else ''} are missing or damaged: {', '.join(gone[:3])}.",
            evidence=(fact("interpreter.distributions.torch.missing_files", gone), *_error(machine)),
            fixes=fixes,
            confidence=1.0 if run is not None else 0.8,
        )
    twice = _twice_in_one_folder(machine)
    if twice and (run is None or run.outcome != "ok"):
        return Finding(
            summary=f"One folder holds the metadata of torch {' and '.join(twice)}: an update was cut off.",
            evidence=(fact("interpreter.duplicates", twice), *_error(machine)),
            fixes=fixes,
            confidence=0.8,
        )
    words = next((line for line in said(machine) if any(text in line.text for text in SAID)), None)
    error = next((e for e in loader_errors(machine) if _of_torch_alone(e)), None)
    line: Said | None = words or (error.said if error else None)
    if line is None:
        return None
    if error is not None and error.kind == "symbol":
        summary = f"{error.library} lacks a function of torch itself ({error.wanted}): files of two versions are mixed."
    else:
        summary = "torch is installed, and parts of it are missing or damaged."
    return Finding(summary=summary, evidence=(line.evidence(),), fixes=fixes, confidence=0.8)


def _vital(file: str) -> bool:
    """Libraries, and the modules without which nothing starts. Slim images leave tests, headers and tools out on purpose."""
    name = file.partition(" (")[0].replace("\\", "/")
    if not name.startswith("torch/") or name.startswith(("torch/test/", "torch/bin/")):
        return False
    library = ".so" in name or name.endswith((".dll", ".pyd", ".dylib"))
    return library or name in ("torch/__init__.py", "torch/version.py")


def _of_torch_alone(error: LoaderError) -> bool:
    if error.kind == "damaged":
        return error.of_torch or error.stem in (*CUDA_STEMS, "libcudnn")
    if error.kind == "missing":
        # An extension that was built for another torch asks for such names as well; the import of torch itself does not.
        return error.of_torch and error.said.fact == "torch.run.error"
    return error.kind == "symbol" and error.of_torch and error.torch_symbol


def _twice_in_one_folder(machine: Snapshot) -> tuple[str, ...]:
    for duplicate in (machine.interpreter.duplicates or ()) if machine.interpreter else ():
        if duplicate.name == "torch" and len(set(duplicate.locations)) == 1 and len(duplicate.locations) > 1:
            return duplicate.versions
    return ()


def _error(machine: Snapshot) -> tuple[Evidence, ...]:
    error = machine.torch.run.error if machine.torch and machine.torch.run else None
    return (fact("torch.run.error", error.strip().splitlines()[-1][:300]),) if error and error.strip() else ()


def _leftovers(machine: Snapshot) -> tuple[Fix, ...]:
    place = machine.torch.location if machine.torch else None
    if not place or machine.source != "live" or not place.rstrip("/").endswith("/torch"):
        return ()
    site = quoted([place.rstrip("/").rpartition("/")[0]])
    return (
        Fix(
            title="When the install still says that it is there, remove what is left by hand first",
            commands=(
                f"ls -d {site}/torch {site}/torch-*.dist-info {site}/~orch* 2>/dev/null   # then rm -r what it shows",
            ),
        ),
    )
