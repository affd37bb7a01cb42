"""A local file or folder hides a real module.

What it is
    Python looks first in the folder of the program that it starts (or the current one), then in PYTHONPATH, then in its own
    library. A file random.py, torch.py or a folder torch/ there is imported in place of the real module, and torch fails in odd
    ways: 'partially initialized module', 'module torch has no attribute', 'No module named torch._C'.

Told apart by
    A file of such a name in PYTHONPATH or in the current folder, together with an import that fails; or Python's own hint. While
    torch works, a torch or numpy in the current folder is a warning (programs that start here take it), and a file named like
    a module of the standard library, which may be meant so, is only worth knowing.

Repair
    Rename it, and remove its compiled copy; or start from another folder.

Sources
    docs.python.org, 'The initialization of the sys.path module search path'
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.repairs.python_environment import quoted, run_python
from envdoctor.facts.evidence import fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import ShadowedModule
from envdoctor.knowledge import Knowledge
from envdoctor.reading.messages.in_snapshot import first_said
from envdoctor.reading.messages.loader_errors import loader_errors
from envdoctor.reading.messages.message_files import beside

THIRD_PARTY = ("torch", "torchvision", "torchaudio", "numpy", "triton")


MESSAGES = beside(__file__)


@diagnosis(
    "module-shadowed",
    layer=Layer.PYTHON,
    severity=Severity.ERROR,
    messages=MESSAGES,
    remedy=lambda machine, _: _fixes(machine, None),
)
def module_shadowed(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter, torch = machine.interpreter, machine.torch
    run = torch.run if torch else None
    said = first_said(machine, MESSAGES)
    candidates = [s for s in (interpreter.shadowed or () if interpreter else ()) if not _own_sources(machine, s)]
    if not candidates and said is None:
        return None
    failed = said is not None or (run is not None and run.outcome == "import-error")
    always = [s for s in candidates if _always(machine, s)]
    if failed:
        named = [s for s in candidates if run is not None and _parent(s.path) and s.path in (run.error or "")]
        # The import was tried without the current folder, so only what PYTHONPATH holds can have broken it.
        # An error of the loader is about a library, whatever lies around.
        chosen = named or ([] if loader_errors(machine) else always)
        if not chosen and said is None:
            return _in_this_folder(machine, candidates)
        what = chosen[0] if chosen else None
        return Finding(
            summary=(
                f"{what.path} is imported in place of the real {what.module}"
                if what
                else "A local file is imported in place of a real module"
            )
            + ", and the import fails.",
            evidence=(
                *((fact("interpreter.shadowed", what.path),) if what else ()),
                *((said.evidence(),) if said else ()),
            ),
            fixes=_fixes(machine, what),
            confidence=1.0 if named or said else 0.8,
        )
    if run is not None:
        # torch was imported with PYTHONPATH as it is: what lies there does no harm.
        candidates = [s for s in candidates if s not in always]
    elif always:
        return _warn(machine, always[0], Severity.WARNING, "every program of this Python")
    return _in_this_folder(machine, candidates)


def _in_this_folder(machine: Snapshot, candidates: list[ShadowedModule]) -> Finding | None:
    heavy = next((s for s in candidates if s.module in THIRD_PARTY), None)
    if heavy is not None:
        return _warn(machine, heavy, Severity.WARNING, "programs that start in this folder")
    first = next(iter(candidates), None)
    return None if first is None else _warn(machine, first, Severity.INFO, "programs that start in this folder")


def _warn(machine: Snapshot, what: ShadowedModule, severity: Severity, who: str) -> Finding:
    return Finding(
        summary=f"{what.path} hides the real {what.module} from {who}.",
        severity=severity,
        evidence=(fact("interpreter.shadowed", what.path),),
        fixes=_fixes(machine, what),
        confidence=0.8,
    )


def _always(machine: Snapshot, shadow: ShadowedModule) -> bool:
    """Whether its folder is on sys.path, by PYTHONPATH or a .pth file, and so hides it wherever a program starts."""
    path = machine.interpreter.sys_path if machine.interpreter else None
    return _parent(shadow.path) in (path or ())


def _parent(path: str) -> str:
    return path.replace("\\", "/").rpartition("/")[0]


def _own_sources(machine: Snapshot, shadow: ShadowedModule) -> bool:
    """A checkout that is installed in place is what it hides; so is a torch that works."""
    own = machine.interpreter.distribution(shadow.module) if machine.interpreter else None
    torch = machine.torch
    works = torch is not None and torch.run is not None and torch.run.outcome == "ok"
    return bool(own and own.editable) or (works and torch is not None and torch.location == shadow.path)


def _fixes(machine: Snapshot, what: ShadowedModule | None) -> tuple[Fix, ...]:
    module = what.module if what else "torch"
    verify = run_python(machine, f"import {module}; print({module}.__file__)")
    if what is None:
        return (Fix(title="Rename the file that the message names, and remove its __pycache__", verify=verify),)
    windows = machine.host is not None and machine.host.system == "Windows"
    if windows:
        return (Fix(title=f"Rename it: ren {what.path} my_{module}", verify=verify),)
    new = f"{_parent(what.path)}/my_{what.path.rpartition('/')[2]}"
    return (
        Fix(
            title="Rename it, and remove the compiled copy",
            commands=(
                quoted(["mv", what.path, new]),
                quoted(["rm", "-rf", f"{_parent(what.path)}/__pycache__"]),
            ),
            note="A clone of torch's own sources: start Python from another folder instead.",
            verify=verify,
        ),
    )
