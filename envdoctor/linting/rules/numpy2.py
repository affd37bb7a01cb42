"""NumPy 2 beside a torch that was compiled against NumPy 1, where nothing holds NumPy back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.linting.model import DescribedEnvironment, Wanted
from envdoctor.linting.resolving import Circumstances, specifier
from envdoctor.linting.taken import Taken, TakenFrom

# github.com/pytorch/pytorch/issues/107302: 2.3.0 is the first that supports NumPy 2.
FIRST_WITH_NUMPY_2 = Version("2.3.0")
# PyPI, METADATA of numpy 2.0.0: Requires-Python.
FIRST_PYTHON = Version("3.9")
# Of these, every release that is not pinned asks for NumPy.
_BRINGS = ("torchvision", "transformers", "scipy", "pandas", "scikit-learn", "matplotlib", "opencv-python", "diffusers")


def judge(environment: DescribedEnvironment, found: Iterable[Taken], where: Circumstances) -> Iterator[Finding]:
    """A warning: another package may hold NumPy back."""
    old = next(
        (
            one
            for one in found
            if one.origin in (TakenFrom.PIP, TakenFrom.WHEEL)
            and one.release is not None
            and Version(one.release) < FIRST_WITH_NUMPY_2
        ),
        None,
    )
    if old is None or old.python_missing or (where.python is not None and _older(where.python)):
        return
    if where.python is None and old.pythons and _older(old.pythons[-1]):
        return
    pip = [install for install in environment.installs if install.tool != "conda"]
    if any(install.constrained for install in pip) or any(
        i.find("numpy") for i in environment.installs if i not in pip
    ):
        return
    held = [wanted for install in pip if (wanted := install.find("numpy")) is not None]
    if any(not _admits_2(wanted) for wanted in held):
        return
    brings = next((w for i in pip for name in _BRINGS if (w := i.find(name)) is not None), None)
    said = held[-1] if held else brings
    if said is None:
        return
    how = f"`{said.text}` takes NumPy 2" if held else f"`{said.text}` brings NumPy, of which nothing says which"
    yield Finding(
        code="numpy-abi-mismatch",
        severity=Severity.WARNING,
        title="NumPy 2 beside an older torch",
        summary=f"{how}; torch {old.release} was compiled against NumPy 1: `.numpy()` and from_numpy fail.",
        evidence=(fact("torch", old.said.text), fact("numpy", held[-1].text if held else "not held back")),
        fixes=(Fix(title="Ask for numpy<2 in the same install"),),
        rule="numpy-2-beside-old-torch",
        file=said.place.file,
        line=said.place.line,
    )


def _older(python: str) -> bool:
    return Version(python.rstrip("t")) < FIRST_PYTHON


def _admits_2(wanted: Wanted) -> bool:
    asked = specifier(wanted)
    return asked is not None and any(asked[0].contains(version) for version in ("2.0.0", "2.2.6", "2.4.0", "2.5.0"))
