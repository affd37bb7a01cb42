"""The torch that an install takes: whether there is one at all, and whether it runs on this machine's driver and GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envdoctor.diagnosis.model import Finding, Fix, Severity
from envdoctor.facts.evidence import Evidence, fact
from envdoctor.knowledge import Knowledge, TorchBuild
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import DescribedEnvironment, Install, Wanted
from envdoctor.linting.resolving import PYPI, Circumstances, Resolved, bringing, channels_of, resolve, specifier
from envdoctor.planning.words import driver_words


def judge(
    environment: DescribedEnvironment, where: Circumstances, machine: TargetMachine, world: Knowledge
) -> Iterator[Finding]:
    """One finding at most for each install of torch: the first thing that is in its way."""
    for install, wanted in bringing(environment, world):
        yield from _no_index(wanted, install, environment)
        resolved = resolve(install, where, world)
        if resolved is None:
            continue
        found = (
            _not_for_python(environment, wanted, resolved, where, machine, world)
            if resolved.build is not None
            else _unavailable(wanted, install, resolved, where, machine, world)
        )
        if found is None and resolved.build is not None:
            by_name = "cpu" in (channels_of(install) or ())
            found = on_machine(wanted, resolved.build, where, machine, world, by_name=by_name)
        if found is not None:
            yield found


def _no_index(wanted: Wanted, install: Install, environment: DescribedEnvironment) -> Iterator[Finding]:
    """A build named by its local part ("2.0.1+cu118") with no index but PyPI's, which holds no such version (PEP 440)."""
    asked = specifier(wanted)
    local = asked[1] if asked is not None else None
    if local is None or not re.fullmatch(r"cpu|cu\d{3}", local) or channels_of(install) != (PYPI,):
        return
    # A project's tool may be told the index for this package alone, or under a marker.
    if install.tool == "conda" or wanted.elsewhere or install.incomplete or wanted.place.file.endswith(".toml"):
        return
    url = f"https://download.pytorch.org/whl/{local}"
    yield Finding(
        rule="build-without-index",
        code="platform-unsupported",
        # A file may be meant to be used with an index on the command line; a command in an image says all itself.
        severity=Severity.ERROR if environment.in_image else Severity.WARNING,
        title="PyPI has no such build",
        summary=f"{_asked(wanted)}: builds named +{local} are on PyTorch's own index only, and no index is named"
        + ("." if environment.in_image else " here: pip finds none, unless one is given on the command line."),
        evidence=(fact("requirement", wanted.text), fact("index", "pypi.org")),
        fixes=(Fix(title=f"Name the index: --extra-index-url {url}"),),
        file=wanted.place.file,
        line=wanted.place.line,
    )


def _asked(wanted: Wanted) -> str:
    return f"`{wanted.text}`"


def _takes(wanted: Wanted, build: TorchBuild) -> str:
    if wanted.name not in wanted.text.lower():
        return f"{_asked(wanted)} brings torch {build.name}"
    exact = wanted.specifier.startswith("==") and "*" not in wanted.specifier and "," not in wanted.specifier
    return f"{_asked(wanted)} is {build.name}" if exact else f"{_asked(wanted)} takes {build.name} today"


def _evidence(wanted: Wanted, build: TorchBuild | None, *more: Evidence) -> tuple[Evidence, ...]:
    said = (fact("requirement", wanted.text),)
    return (*said, *((fact("resolves to", build.name),) if build else ()), *more)


def update_driver(minimum: str, where: Circumstances, machine: TargetMachine, world: Knowledge) -> tuple[Fix, ...]:
    """The driver to update to; () where none is both as new and for these GPUs."""
    choice = machine.driver_for(minimum, where, world)
    if choice.impossible:
        return ()
    title = f"Update to {driver_words(minimum, choice.last, machine.under(where).gpus or ())}"
    if choice.last is None and choice.branch not in (None, minimum):
        title += f" (branch {choice.branch})"
    return (Fix(title=title, needs_root=True, needs_reboot=True),)


def _unavailable(
    wanted: Wanted, install: Install, resolved: Resolved, where: Circumstances, machine: TargetMachine, world: Knowledge
) -> Finding | None:
    place = wanted.place
    if resolved.obstacle == "musl":
        return Finding(
            rule="libc-without-wheel",
            code="platform-unsupported",
            severity=Severity.ERROR,
            title="No wheel for this C library",
            summary=f"{_asked(wanted)}: torch publishes no wheels for Alpine (musl); pip finds none or starts to compile it.",
            evidence=_evidence(wanted, None, fact("libc", "musl")),
            fixes=(Fix(title="Start from a glibc image, such as python:3.12-slim-bookworm"),),
            file=place.file,
            line=place.line,
        )
    if resolved.obstacle == "python" and resolved.nearest is not None:
        tags = [tag for tag in resolved.nearest.python_tags if not tag.endswith("t")]
        return Finding(
            rule="python-without-wheel",
            code="python-unsupported",
            severity=Severity.ERROR,
            title="No wheel of this torch for this Python",
            summary=f"{_asked(wanted)} has no wheel for Python {where.python}: torch {resolved.nearest.torch} has them for "
            f"{tags[0]} to {tags[-1]}.",
            evidence=_evidence(wanted, None, fact("python", where.python)),
            fixes=(Fix(title=f"Use Python {tags[-1] if len(tags) < 3 else tags[-2]} there"),),
            file=place.file,
            line=place.line,
        )
    if resolved.obstacle == "glibc" and resolved.nearest is not None:
        return Finding(
            rule="glibc-older-than-wheel",
            code="glibc-too-old",
            severity=Severity.ERROR,
            title="The C library there is older than the wheel accepts",
            summary=f"{_asked(wanted)} needs glibc {resolved.nearest.glibc}; there it is {where.glibc}: pip finds no wheel.",
            evidence=_evidence(wanted, resolved.nearest, fact("glibc", where.glibc)),
            fixes=(Fix(title="Use a newer distribution there: an image brings its own glibc"),),
            file=place.file,
            line=place.line,
        )
    if resolved.obstacle == "channel":
        index = install.indexes[0].url if install.indexes else "that index"
        return Finding(
            rule="index-without-wheel",
            code="platform-unsupported",
            severity=Severity.ERROR,
            title="That index has no such wheel",
            summary=f"{_asked(wanted)}: {index} has no such wheel for {where.platform}, so pip will find none.",
            evidence=_evidence(wanted, None, fact("index", index), fact("platform", where.platform)),
            file=place.file,
            line=place.line,
        )
    return None


def _not_for_python(
    environment: DescribedEnvironment,
    wanted: Wanted,
    resolved: Resolved,
    where: Circumstances,
    machine: TargetMachine,
    world: Knowledge,
) -> Finding | None:
    """A project whose range of Pythons holds none that this torch has wheels for."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    said, build = environment.requires_python, resolved.build
    if said is None or build is None or where.python is not None:
        return None
    try:
        accepted = SpecifierSet(said.value)
    except InvalidSpecifier:
        return None
    tags = [tag for tag in build.python_tags if not tag.endswith("t")]
    # A minor is accepted where any of its releases is: ">=3.11.4" takes 3.11 in.
    if any(accepted.contains(f"{tag}.{patch}") for tag in tags for patch in (0, 4, 9, 20)):
        return None
    return Finding(
        rule="python-without-wheel",
        code="python-unsupported",
        severity=Severity.ERROR,
        title="No wheel of this torch for this Python",
        summary=f"{_takes(wanted, build)}, which has wheels for Python {tags[0]} to {tags[-1]}; "
        f"the project asks for {said.value}.",
        evidence=_evidence(wanted, build, fact("requires-python", said.value)),
        fixes=(Fix(title=f"Let requires-python admit {tags[-1]}"),),
        file=wanted.place.file,
        line=wanted.place.line,
    )


def on_machine(
    wanted: Wanted,
    build: TorchBuild,
    where: Circumstances,
    machine: TargetMachine,
    world: Knowledge,
    *,
    by_name: bool = False,
) -> Finding | None:
    """Whether a build runs on the machine's GPUs and driver. `by_name`: the index for CPUs was named."""
    place = wanted.place
    if build.cuda is None:
        if build.variant != "cpu" or not machine.gpus or (machine.platform or "").startswith("macos"):
            return None
        by_name = by_name or wanted.specifier.endswith("+cpu")
        return Finding(
            rule="cpu-build-on-gpu-machine",
            code="torch-cpu-only",
            # Who names the CPU index may mean it.
            severity=Severity.WARNING if by_name else Severity.ERROR,
            title="A build for CPUs on a machine with a GPU",
            summary=f"{_takes(wanted, build)}, a build without CUDA; this machine has {names(machine)}.",
            evidence=_evidence(wanted, build, fact("gpus", names(machine))),
            file=place.file,
            line=place.line,
        )
    for gpu in machine.gpus:
        capability = gpu.capability
        if capability is None or not build.arch_flags or world.serves(build, capability) is not False:
            continue
        oldest = min(_number(flag) for flag in build.arch_flags)
        too_old = _number(f"sm_{capability.replace('.', '')}") < oldest
        return Finding(
            rule="gpu-without-code",
            code="gpu-arch-too-old-for-torch" if too_old else "gpu-arch-too-new-for-torch",
            severity=Severity.ERROR,
            title="This torch has no code for the GPU",
            summary=f"{_takes(wanted, build)}, which has no code for {gpu}: it holds {', '.join(build.arch_flags)}.",
            evidence=_evidence(wanted, build, fact("gpu", str(gpu))),
            file=place.file,
            line=place.line,
        )
    needed = machine.driver_lacks(build, where, world)
    if needed is not None:
        return Finding(
            rule="driver-older-than-torch",
            code="driver-too-old",
            severity=Severity.ERROR,
            title="The driver is older than this torch needs",
            summary=f"{_takes(wanted, build)}, which needs driver {needed} or newer here; this machine has {machine.driver}.",
            evidence=_evidence(wanted, build, fact("driver.version", machine.driver)),
            fixes=(*update_driver(needed, where, machine, world),),
            file=place.file,
            line=place.line,
        )
    return None


def _number(flag: str) -> int:
    digits = "".join(character for character in flag.partition("_")[2] if character.isdecimal())
    return int(digits or 0)


def names(machine: TargetMachine) -> str:
    """The GPUs of a machine in words, each kind once."""
    return ", ".join(dict.fromkeys(str(gpu) for gpu in machine.gpus))
