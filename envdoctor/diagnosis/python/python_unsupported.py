"""No wheel of torch exists for this Python.

What it is
    Each torch release has wheels for a few Python versions. pip on any other says 'Could not find a version that satisfies the
    requirement torch' or 'No matching distribution found for torch'. A 32-bit Python and PyPy have none at all.

Told apart by
    torch is not installed, and the table of wheels has none for this Python on this platform; or the very release that was asked
    for has none. When the newest torch has a wheel for it, torch is just not there: `torch-missing`.

Repair
    An environment with a Python that has wheels; uv and conda bring one along.

Sources
    the wheels of torch on PyPI, by their tags
"""

from __future__ import annotations

from envdoctor.diagnosis.model import Finding, Fix, Layer, Severity, diagnosis
from envdoctor.diagnosis.refused_install import Why, why_refused
from envdoctor.diagnosis.repairs.new_python import environment_with_python
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.facts.model import Snapshot
from envdoctor.facts.sections.interpreter import Interpreter
from envdoctor.knowledge import Knowledge, KnowledgeError
from envdoctor.reading.messages.loader_errors import first_saying
from envdoctor.reading.messages.message_files import beside

SAID = ("No matching distribution found for torch", "satisfies the requirement torch")


MESSAGES = beside(__file__)


@diagnosis(
    "python-unsupported",
    layer=Layer.PYTHON,
    severity=Severity.ERROR,
    follows_from=("wheel-index-missing",),
    messages=MESSAGES,
    remedy=lambda machine, world: _remedy(machine, world),  # noqa: PLW0108  it stands below
    fits=lambda machine, world: _fits(machine, world),  # noqa: PLW0108  it stands below
)
def python_unsupported(machine: Snapshot, world: Knowledge) -> Finding | None:
    interpreter, host = machine.interpreter, machine.host
    platform = host.platform if host else None
    asked = _asked_for(machine)
    if interpreter is None or interpreter.version is None or interpreter.torch_installed:
        return None
    if interpreter.torch_installed is None and asked is None:
        return None
    if _fits(machine, world) is False:
        return None
    python = _python(interpreter)
    evidence = (fact("interpreter.version", interpreter.version), *((asked[1],) if asked else ()))
    if interpreter.bits == 32 or (interpreter.implementation or "").lower() == "pypy":
        kind = "a 32-bit Python" if interpreter.bits == 32 else "PyPy"
        return Finding(
            summary=f"{interpreter.executable or 'This Python'} is {kind}: torch has no wheels for it.",
            evidence=(*evidence, fact("interpreter.bits", interpreter.bits)),
            fixes=(environment_with_python(machine, world, None, None),),
        )
    if platform is None:
        return None
    try:
        wanted = asked[0] if asked else None
        if wanted is not None and _release_lacks(world, wanted, python, platform):
            return Finding(
                summary=f"torch {wanted} has no wheel for Python {python} on this system.",
                evidence=evidence,
                fixes=(environment_with_python(machine, world, wanted, asked[2] if asked else None),),
            )
        offered = _pythons(world, platform)
        if not offered:
            return None
        if python in offered:
            return _nothing_offered(machine, world, python)
    except KnowledgeError:
        return None
    newest = world.torch_releases()[0].version
    return Finding(
        summary=f"No torch that is known (up to {newest}) has a wheel for Python {python} on this system.",
        evidence=evidence,
        fixes=(environment_with_python(machine, world, None, None),),
        confidence=0.8,
    )


def _fits(machine: Snapshot, world: Knowledge) -> bool | None:
    """What the installer's own list of releases says."""
    refused = why_refused(machine, world)
    return None if refused is None else refused.why in (Why.PYTHON_TOO_NEW, Why.PYTHON_TOO_OLD)


def _nothing_offered(machine: Snapshot, world: Knowledge, python: str) -> Finding | None:
    """pip saw no file of torch at all: its Python, its index, or its age? Some releases have wheels for this Python."""
    said = first_saying(machine, "satisfies the requirement torch")
    if said is None or "(from versions: none)" not in said.text:
        return None
    return Finding(
        summary=f"pip found no file of torch for this Python. Some releases have wheels for Python {python}; an index without "
        "them, another Python behind pip, or a pip too old to know their tags looks like this too.",
        evidence=(said.evidence(), fact("interpreter.version", python)),
        fixes=(
            Fix(
                title="See which Python, tags and index pip works with; then install again with a new pip",
                commands=(
                    "python -m pip debug --verbose | head -40",
                    "python -m pip install --upgrade pip",
                    "python -m pip install torch",
                ),
            ),
            environment_with_python(machine, world, None, None),
        ),
        confidence=0.5,
    )


def _python(interpreter: Interpreter) -> str:
    return ".".join((interpreter.version or "").split(".")[:2]) + ("t" if interpreter.free_threaded else "")


def _pythons(world: Knowledge, platform: str) -> set[str]:
    return {python for release in world.torch_releases() for python in release.python.get(platform, ())}


def _asked_for(machine: Snapshot) -> tuple[str | None, Evidence, str | None] | None:
    """The release and the variant in pip's refusal, with its words: 'No matching distribution found for torch==1.13.1+cu117'."""
    said = first_saying(machine, *SAID)
    if said is None:
        return None
    text = said.text.partition("requirement torch")[2] or said.text.partition("found for torch")[2]
    if text[:1].isalpha() or text[:1] == "-":
        return None  # torchvision, torch-scatter
    word = text.removeprefix("==").split()[:1] if text.startswith("==") else []
    version, _, variant = word[0].partition("+") if word else ("", "", "")
    return version or None, said.evidence(), variant or None


def _release_lacks(world: Knowledge, wanted: str, python: str, platform: str) -> bool:
    release = world.torch_release(wanted)
    releases = world.torch_releases()
    if release is not None and release.version == wanted:
        return bool(release.python.get(platform)) and python not in release.python[platform]
    oldest = releases[-1]
    known = oldest.python.get(platform, ())
    # Older than the table: no release has wheels for a Python that came after a later one.
    before = _numbers(wanted) < _numbers(oldest.version)
    return before and bool(known) and _numbers(python.rstrip("t")) > max(_numbers(p.rstrip("t")) for p in known)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdecimal()]


def _remedy(machine: Snapshot, world: Knowledge) -> tuple[Fix, ...]:
    asked = _asked_for(machine)
    wanted, variant = (asked[0], asked[2]) if asked else (None, None)
    return (environment_with_python(machine, world, wanted, variant),)
