"""What of a file was understood, and what was not judged: green is earned by the first and lost by the second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envdoctor.diagnosis.model import FileAccount, Gap, NotJudged, Topic, Understood
from envdoctor.knowledge import Knowledge
from envdoctor.linting.machine import TargetMachine
from envdoctor.linting.model import Described, DescribedEnvironment, Install
from envdoctor.linting.resolving import PYPI, UNKNOWN, Circumstances, channel_of
from envdoctor.linting.systems import is_plain
from envdoctor.linting.taken import Taken, TakenFrom, of_image

Site = tuple[DescribedEnvironment, Circumstances, Sequence[Taken]]


def account(file: Described, sites: Sequence[Site], machine: TargetMachine, world: Knowledge) -> FileAccount:
    """The account of one file, whose environments are judged in `sites`."""
    understood: list[Understood] = []
    gaps: list[Gap] = [*file.gaps]
    concerns = False
    for environment, where, found in sites:
        understood += _understood(environment, where, found)
        own = list(_gaps(environment, found))
        concerns = concerns or bool(found) or bool(own)
        gaps += own
    for service in file.services:
        if service.image is not None:
            understood.append(Understood(Topic.IMAGE, service.image.value, service.image.place.line))
            inside = of_image(service.image, world)
            if inside is not None and not inside.known:
                gaps.append(Gap(NotJudged.IMAGE, service.image.value, service.image.place.line))
        if service.builds is not None:
            gaps.append(Gap(NotJudged.FILE, service.builds.value, service.builds.place.line))
        understood.append(
            Understood(Topic.GPUS, f"{service.name}: {'given' if service.gpu else 'none'}", service.place.line)
        )
    return FileAccount(
        file=file.name,
        kind=file.kind,
        understood=tuple(dict.fromkeys(understood)),
        not_judged=tuple(dict.fromkeys(gaps)),
        machine=machine.named,
        python=next((w.python for e, w, _ in sites if w.python and not e.in_image and e.python is None), None),
        concerns_torch=concerns or bool(file.services),
    )


def _understood(
    environment: DescribedEnvironment, where: Circumstances, found: Sequence[Taken]
) -> Iterator[Understood]:
    if environment.image is not None:
        yield Understood(Topic.IMAGE, environment.image.value, environment.image.place.line)
    python = environment.python or environment.requires_python
    if python is not None:
        yield Understood(Topic.PYTHON, python.value, python.place.line)
    elif where.python is not None and environment.in_image:
        yield Understood(Topic.PYTHON, where.python)
    for one in found:
        line = one.said.place.line
        if one.release is not None:
            yield Understood(Topic.TORCH, one.build.name if one.build is not None else one.release, line)
        if one.cpu or one.cudas:
            yield Understood(Topic.CUDA, "none" if one.cpu else ", ".join(one.cudas), line)
    for install in environment.installs:
        for index in install.indexes:
            yield Understood(Topic.INDEX, index.url, index.place.line)
        for channel in install.channels:
            yield Understood(Topic.INDEX, channel, install.place.line)


def _gaps(environment: DescribedEnvironment, found: Sequence[Taken]) -> Iterator[Gap]:
    yield from environment.gaps
    image = environment.image
    if image is not None and not found and not is_plain(image.value) and environment.runs:
        yield Gap(NotJudged.IMAGE, image.value, image.place.line)
    for one in found:
        if one.known:
            continue
        reason = {TakenFrom.IMAGE: NotJudged.IMAGE, TakenFrom.WHEEL: NotJudged.WHEEL}.get(one.origin, NotJudged.BUILD)
        install = next((i for i in environment.installs if one.said in i.wanted), None)
        odd = _odd_index(install) if install is not None else None
        if odd is not None:
            yield Gap(NotJudged.INDEX, odd, one.said.place.line)
        elif install is not None and install.incomplete:
            yield Gap(NotJudged.VARIABLE, one.said.text, one.said.place.line)
        else:
            yield Gap(reason, one.said.text, one.said.place.line)


def _odd_index(install: Install) -> str | None:
    """The first index whose wheels are not known."""
    return next(
        (index.url for index in install.indexes if channel_of(index) in (UNKNOWN,) and channel_of(index) != PYPI), None
    )
