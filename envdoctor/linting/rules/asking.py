"""Words that mean something else than they say: indexes that hold nothing, tags that move, redirections."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.linting.model import DescribedEnvironment, Install, PlacedValue, Wanted
from envdoctor.linting.resolving import Circumstances, channel_of, torch_wanted
from envdoctor.linting.systems import parse
from envdoctor.linting.taken import Taken, TakenFrom

# PyPI, METADATA of pip 26.3 and of pip 26.1: Requires-Python. bootstrap.pypa.io/get-pip.py brings the newest pip; what is older
# has a copy of its own, bootstrap.pypa.io/pip/3.9/get-pip.py.
OLDEST_PYTHON_OF_PIP = "3.10"
# Their wheels are for Windows alone, and conda has them in win-64 alone.
_WINDOWS_ONLY = re.compile(
    r"pywin32|pypiwin32|pywinpty|winpty|wincertstore|win-inet-pton|vs2015_runtime|vc14_runtime|vc|ucrt|menuinst|icc_rt|"
    r"msys2-conda-epoch|m2w64-.*"
)


def judge(
    environment: DescribedEnvironment, found: Iterable[Taken], where: Circumstances, world: Knowledge
) -> Iterator[Finding]:
    """Each in its own place."""
    if environment.image is not None:
        yield from judge_image(environment.image)
    for word in environment.redirected:
        yield _redirected(word)
    for download in environment.downloads:
        yield from _dead_pip(download, where)
    for one in found:
        yield from _beside(one, environment, where, world)
        yield from _dead_python(one, where, world)
    for install in environment.installs:
        yield from _windows(install, where)


def judge_image(said: PlacedValue) -> Iterator[Finding]:
    """A tag that another image will have tomorrow."""
    reference = parse(said.value)
    if reference.digest or reference.tag not in ("", "latest") or not reference.repository.endswith("pytorch/pytorch"):
        return
    yield Finding(
        code="driver-too-old",
        severity=Severity.WARNING,
        title="An image that changes under its name",
        summary=f"{said.value} is another image after each release: its torch, its CUDA and the driver that it needs change.",
        evidence=(fact("image", said.value),),
        fixes=(Fix(title="Name a release, its CUDA and its flavour in the tag"),),
        rule="image-tag-moves",
        file=said.place.file,
        line=said.place.line,
    )


def _redirected(word: PlacedValue) -> Finding:
    reads = "<" in word.value
    what = "reads a file that is not there, and fails" if reads else "writes into a file, and no version is asked for"
    return Finding(
        code="torch-too-old-for-package",
        severity=Severity.ERROR if reads else Severity.WARNING,
        title="The shell takes a requirement for a redirection",
        summary=f"`{word.value}` stands without quotes: the shell {what}.",
        evidence=(fact("words", word.value),),
        fixes=(Fix(title=f"Write '{word.value}' in quotes"),),
        rule="requirement-redirected",
        file=word.place.file,
        line=word.place.line,
    )


def _dead_pip(download: PlacedValue, where: Circumstances) -> Iterator[Finding]:
    python = where.python
    if python is None or Version(python.rstrip("t")) >= Version(OLDEST_PYTHON_OF_PIP):
        return
    if re.search(r"/pip/\d", download.value):
        return
    yield Finding(
        code="python-unsupported",
        severity=Severity.ERROR,
        title="pip's installer no longer runs on this Python",
        summary=f"{download.value} brings the newest pip, which needs Python {OLDEST_PYTHON_OF_PIP}; there it is {python}.",
        evidence=(fact("get-pip.py", download.value), fact("python", python)),
        fixes=(Fix(title=f"Take https://bootstrap.pypa.io/pip/{python}/get-pip.py"),),
        rule="get-pip-on-dead-python",
        file=download.place.file,
        line=download.place.line,
    )


def _beside(one: Taken, environment: DescribedEnvironment, where: Circumstances, world: Knowledge) -> Iterator[Finding]:
    """An extra index of torch that has no such release: PyPI's build is taken, of another CUDA."""
    build = one.build
    install = next((i for i in environment.installs if torch_wanted(i, world) == one.said), None)
    if build is None or one.origin is not TakenFrom.PIP or install is None or where.platform is None:
        return
    for index in install.indexes:
        channel = channel_of(index)
        if not index.beside or not re.fullmatch(r"cu\d+|cpu", channel) or channel == build.variant:
            continue
        if world.wheel_published(build.torch, channel, where.platform) is not False:
            continue
        yield Finding(
            code="wheel-index-missing",
            severity=Severity.WARNING,
            title="The extra index does not have this torch",
            summary=f"{index.url} has no torch {build.torch}: `{one.said.text}` takes {build.name} from PyPI.",
            evidence=(fact("index", index.url), fact("resolves to", build.name)),
            fixes=_nearest(channel, where, world),
            rule="extra-index-without-torch",
            file=index.place.file,
            line=index.place.line,
        )


def _nearest(channel: str, where: Circumstances, world: Knowledge) -> tuple[Fix, ...]:
    last = next((b for b in world.torch_builds() if b.variant == channel and b.platform == where.platform), None)
    return (Fix(title=f"Ask for torch=={last.torch}, the last that is there, or leave the index out"),) if last else ()


def _dead_python(one: Taken, where: Circumstances, world: Knowledge) -> Iterator[Finding]:
    """A release whose wheels are all for Pythons that no torch of today has wheels for, where the file names none."""
    if where.python is not None or not one.pythons or one.origin is not TakenFrom.PIP:
        return
    living = [tag for row in world.torch_releases()[:3] for tag in row.python.get("linux_x86_64", ())]
    oldest = min((Version(tag.rstrip("t")) for tag in living), default=None)
    if oldest is None or Version(one.pythons[-1]) >= oldest:
        return
    yield Finding(
        code="python-unsupported",
        severity=Severity.WARNING,
        title="No wheel of this torch for a Python of today",
        summary=f"`{one.said.text}`: torch {one.release} has wheels for Python {one.pythons[0]} to {one.pythons[-1]} only.",
        evidence=(fact("requirement", one.said.text),),
        fixes=(Fix(title=f"Use Python {one.pythons[-1]}, or a torch that has wheels for the Python there"),),
        rule="torch-for-dead-pythons",
        file=one.said.place.file,
        line=one.said.place.line,
    )


def _windows(install: Install, where: Circumstances) -> Iterator[Finding]:
    if not (where.platform or "").startswith("linux"):
        return
    found: list[Wanted] = [w for w in install.wanted if _WINDOWS_ONLY.fullmatch(w.name) and not w.elsewhere]
    if not found or (install.tool != "conda" and not found[0].name.startswith(("pywin", "pypiwin"))):
        return
    if install.tool != "conda" and ";" in found[0].text:
        return
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    yield Finding(
        code="platform-unsupported",
        severity=Severity.ERROR,
        title="Packages of another platform",
        summary=f"`{found[0].text}`{more} exists for Windows only: on Linux the environment cannot be made.",
        evidence=(fact("requirement", found[0].text), fact("platform", where.platform)),
        fixes=(Fix(title="Leave it out, or write the file with `conda env export --from-history`"),)
        if install.tool == "conda"
        else (Fix(title=f"Write: {found[0].text}; sys_platform == 'win32'"),),
        rule="packages-of-another-platform",
        file=found[0].place.file,
        line=found[0].place.line,
    )
