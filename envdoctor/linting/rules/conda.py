"""What a conda environment asks for: channels that stopped, a CUDA that is pinned twice over, a build without CUDA."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import fact
from envdoctor.knowledge import Knowledge
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import DescribedEnvironment, Install

# pytorch.org/blog/pytorch2-6: from 2.6 on nothing is published on Conda (github.com/pytorch/pytorch/issues/138506).
FIRST_NOT_ON_CHANNEL = "2.6"


def judge(environment: DescribedEnvironment, machine: TargetMachine, world: Knowledge) -> Iterator[Finding]:
    """What the channels cannot give, and a CPU build by name on a machine with a GPU."""
    for install in environment.installs:
        if install.tool == "conda":
            yield from _channel(install)
            yield from _cpu(install, machine)
    yield from _twice(environment)
    del world


def _channel(install: Install) -> Iterator[Finding]:
    wanted = install.find("pytorch")
    if wanted is None or not install.channels:
        return
    others = [channel for channel in install.channels if channel not in ("pytorch", "nvidia", "nodefaults")]
    if "pytorch" not in install.channels or "conda-forge" in others:
        return
    if _above(wanted.specifier):
        yield Finding(
            rule="conda-channel-ended",
            code="platform-unsupported",
            severity=Severity.ERROR,
            title="That channel has no such release",
            summary=f"`{wanted.text}` is not on the pytorch channel: from torch {FIRST_NOT_ON_CHANNEL} on it has none.",
            evidence=(fact("requirement", wanted.text), fact("channels", install.channels)),
            fixes=(
                Fix(
                    title="Take pytorch-gpu from conda-forge",
                    note="channels: [conda-forge]; dependencies: [pytorch-gpu]",
                ),
                Fix(title="Install torch with pip in the environment, and no pytorch by conda"),
            ),
            file=wanted.place.file,
            line=wanted.place.line,
        )


def _above(specifier: str) -> bool:
    """Whether a pin or lower bound leaves only releases that the channel never had."""
    try:
        bounds = [s for s in SpecifierSet(specifier) if s.operator in ("==", ">=", ">", "~=")]
    except InvalidSpecifier:
        return False
    lowest = [Version(bound.version.removesuffix(".*")) for bound in bounds]
    return bool(lowest) and max(lowest) >= Version(FIRST_NOT_ON_CHANNEL)


def _cpu(install: Install, machine: TargetMachine) -> Iterator[Finding]:
    for name in ("cpuonly", "pytorch-cpu"):
        wanted = install.find(name)
        if wanted is not None and machine.gpus:
            yield Finding(
                rule="cpu-build-on-gpu-machine",
                code="torch-cpu-only",
                severity=Severity.ERROR,
                title="A build for CPUs on a machine with a GPU",
                summary=f"`{wanted.text}` takes a build without CUDA; this machine has {machine.gpus[0]}.",
                evidence=(fact("requirement", wanted.text), fact("gpu", str(machine.gpus[0]))),
                fixes=(Fix(title="Ask for pytorch-gpu from conda-forge, and leave this out"),),
                file=wanted.place.file,
                line=wanted.place.line,
            )


def _twice(environment: DescribedEnvironment) -> Iterator[Finding]:
    """torch by conda and by pip in one environment: the second lies over the first, file by file."""
    by_conda = next(
        (w for i in environment.installs if i.tool == "conda" for n in ("pytorch", "pytorch-gpu") if (w := i.find(n))),
        None,
    )
    by_pip = next((w for i in environment.installs if i.tool != "conda" if (w := i.find("torch"))), None)
    if by_conda is not None and by_pip is not None:
        yield Finding(
            rule="torch-twice",
            code="torch-duplicate-install",
            severity=Severity.ERROR,
            title="torch twice in one environment",
            summary=f"`{by_conda.text}` comes by conda and `{by_pip.text}` by pip: two torches, one over the other.",
            evidence=(fact("conda", by_conda.text), fact("pip", by_pip.text)),
            fixes=(Fix(title="Keep one of them"),),
            file=by_pip.place.file,
            line=by_pip.place.line,
        )
