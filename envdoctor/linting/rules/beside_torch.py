"""What stands beside torch in an install: an index that has no such build, and a NumPy that an old torch cannot use."""

from __future__ import annotations

import re
from collections.abc import Iterator

from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.diagnosis.python.numpy_abi_mismatch import FIRST_FOR_NUMPY_2
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.linting.model import DescribedEnvironment, Install, Wanted
from envdoctor.linting.resolving import Circumstances, channel_of, resolve, specifier


def judge(environment: DescribedEnvironment, where: Circumstances, world: Knowledge) -> Iterator[Finding]:
    """Warnings: what is installed is not what the file seems to ask for."""
    for install in environment.installs:
        wanted = install.find("torch")
        if wanted is None or wanted.elsewhere or install.tool == "conda":
            continue
        yield from _index_of_no_use(install, wanted, where, world)
        yield from _numpy(environment, install, wanted, where, world)


def _index_of_no_use(install: Install, wanted: Wanted, where: Circumstances, world: Knowledge) -> Iterator[Finding]:
    """An extra index holds pip back from nothing: the build comes from elsewhere where that one is newer or the only one."""
    resolved = resolve(install, where, world)
    if resolved is None or resolved.build is None or install.tool == "uv":
        return
    build = resolved.build
    extra = [index for index in install.indexes if index.beside and re.fullmatch(r"cu\d{2,3}", channel_of(index))]
    if not extra or any(channel_of(index) == build.variant for index in extra):
        return
    named = channel_of(extra[-1])
    yield Finding(
        code="wheel-index-missing",
        severity=Severity.WARNING,
        title="The extra index is not where torch comes from",
        summary=f"`{wanted.text}` takes {build.name}: the index of {named} stands beside PyPI, and pip takes the newest that "
        "either has.",
        evidence=(
            fact("requirement", wanted.text),
            fact("extra index", extra[-1].url),
            fact("resolves to", build.name),
        ),
        fixes=(
            Fix(title=f"Pin what that index has: torch==RELEASE+{named}, of the releases that {extra[-1].url} lists"),
            Fix(title=f"Leave the index out, if CUDA {build.cuda} is meant"),
        ),
        file=wanted.place.file,
        line=wanted.place.line,
    )


def _numpy(
    environment: DescribedEnvironment, install: Install, wanted: Wanted, where: Circumstances, world: Knowledge
) -> Iterator[Finding]:
    release = _release(install, wanted, where, world)
    if release is None or release.release[:2] >= FIRST_FOR_NUMPY_2:
        return
    if where.python is not None and Version(where.python.rstrip("t")) < Version("3.9"):
        return  # NumPy 2 has no wheels for it
    named = [w for i in environment.installs for w in i.wanted if w.name == "numpy"]
    if any(w.specifier or w.elsewhere for w in named) or install.constrained:
        bounded = [specifier(w) for w in named]
        if not all(asked is not None and asked[0].contains("2.0.0") for asked in bounded):
            return
    elif not named and install.find("torchvision") is None:
        return  # nothing asks for NumPy
    place = named[0].place if named else wanted.place
    yield Finding(
        code="numpy-abi-mismatch",
        severity=Severity.WARNING,
        title="NumPy 2 under a torch that was compiled for NumPy 1",
        summary=f"`{wanted.text}` was compiled for NumPy 1, and nothing here keeps NumPy below 2.",
        evidence=(fact("requirement", wanted.text), fact("numpy", named[0].text if named else "not named")),
        fixes=(Fix(title='Add "numpy<2"'),),
        file=place.file,
        line=place.line,
    )


def _release(install: Install, wanted: Wanted, where: Circumstances, world: Knowledge) -> Version | None:
    resolved = resolve(install, where, world)
    if resolved is not None:
        return Version(resolved.build.torch) if resolved.build is not None else None
    pin = re.fullmatch(r"==\s*((\d+\.\d+)(?:\.\d+)?)(?:\.\*)?(?:\+[\w.]+)?", wanted.specifier)
    newest = world.newest_python_of_old(pin[2]) if pin is not None else None
    if newest is not None and where.python is not None and Version(where.python.rstrip("t")) > Version(newest):
        return None  # there is no such torch for this Python
    return Version(pin[1]) if pin is not None else None
