"""What was understood of an environment that a file describes, and which torch in it could not be judged."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envdoctor.diagnosis.model import NotJudged, Understood, WhyNotJudged
from envdoctor.knowledge import Knowledge
from envdoctor.linting.model import DescribedEnvironment, Install, PlacedValue, Service, Wanted
from envdoctor.linting.resolving import Circumstances, channels_of, resolve
from envdoctor.linting.rules import by_cuda
from envdoctor.linting.rules.preinstalled_torch import torch_of
from envdoctor.linting.systems import is_plain, parse

_HOLDS_TORCH = re.compile(r"torch|(?<![a-z])vllm|(?<![a-z])sglang|text-generation-inference", re.IGNORECASE)


def understood(environment: DescribedEnvironment, where: Circumstances, world: Knowledge) -> Iterator[Understood]:
    """The image, the Python and each torch, as far as they are known."""
    if environment.image is not None:
        yield _of(environment.image, "image", str(parse(environment.image.value)))
        if (build := torch_of(environment.image, world)) is not None:
            yield _of(environment.image, "torch", f"{build.name}, of the image")
    if where.python is not None and (environment.python is not None or environment.in_image):
        place = environment.python.place if environment.python else None
        at = place or (environment.image.place if environment.image else None)
        if at is not None:
            yield Understood(file=at.file, line=at.line, about="Python", value=where.python)
    for install in environment.installs:
        wanted = _torch(install)
        resolved = resolve(install, where, world) if wanted is not None else None
        if wanted is not None and resolved is not None and resolved.build is not None:
            place = wanted.place
            yield Understood(
                file=place.file, line=place.line, about="torch", value=f"{wanted.text}: {resolved.build.name}"
            )
    for said in by_cuda.named(environment, where, world):
        bound = " or older" if said.at_most else ""
        yield Understood(
            file=said.place.file, line=said.place.line, about="torch", value=f"{said.text}: CUDA {said.cuda}{bound}"
        )


def not_judged(environment: DescribedEnvironment, where: Circumstances, world: Knowledge) -> Iterator[NotJudged]:
    """Each torch of which neither the build nor its CUDA is known, and what may bring one."""
    named = {(said.place, said.text) for said in by_cuda.named(environment, where, world)}
    asks = False
    for install in environment.installs:
        wanted = _torch(install)
        if wanted is None:
            continue
        asks = True
        known = resolve(install, where, world) is not None
        pinned_by_conda = install.tool == "conda" and any(place.file == wanted.place.file for place, _ in named)
        if not known and not pinned_by_conda and (wanted.place, wanted.text) not in named:
            yield NotJudged(
                file=wanted.place.file, line=wanted.place.line, text=wanted.text, why=_why(wanted, install, where)
            )
    base = environment.base_unknown
    if base is not None:
        yield NotJudged(file=base.place.file, line=base.place.line, text=base.value, why=WhyNotJudged.VARIABLE)
    if environment.image is not None and not asks:
        yield from of_image(environment.image, world)
    for said in environment.not_followed:
        yield NotJudged(file=said.place.file, line=said.place.line, text=said.value, why=WhyNotJudged.VARIABLE)
    for said in environment.unread_files:
        yield NotJudged(file=said.place.file, line=said.place.line, text=said.value, why=WhyNotJudged.UNREAD)


def of_image(said: PlacedValue, world: Knowledge) -> Iterator[NotJudged]:
    """An image that holds a torch, by its name, of which nothing is known."""
    known = torch_of(said, world) is not None or by_cuda.of_image(said, world) is not None
    if not known and not is_plain(said.value) and _HOLDS_TORCH.search(parse(said.value).repository):
        place = said.place
        yield NotJudged(file=place.file, line=place.line, text=str(parse(said.value)), why=WhyNotJudged.IMAGE)


def of_service(service: Service, world: Knowledge) -> tuple[list[Understood], list[NotJudged]]:
    """The same of a Compose service, which only names an image."""
    if service.image is None:
        return [], []
    known = [_of(service.image, "image", str(parse(service.image.value)))]
    if (build := torch_of(service.image, world)) is not None:
        known.append(_of(service.image, "torch", f"{build.name}, of the image"))
    return known, list(of_image(service.image, world))


def _torch(install: Install) -> Wanted | None:
    if install.tool == "conda":
        return install.find("pytorch") or install.find("pytorch-gpu")
    return install.find("torch")


def _why(wanted: Wanted, install: Install, where: Circumstances) -> WhyNotJudged:
    if wanted.elsewhere:
        return WhyNotJudged.ELSEWHERE
    if install.incomplete:
        return WhyNotJudged.VARIABLE
    if install.tool == "conda":
        return WhyNotJudged.CONDA
    if channels_of(install) is None:
        return WhyNotJudged.INDEX
    if not where.fresh:
        return WhyNotJudged.MAY_BE_THERE
    return WhyNotJudged.RELEASE


def _of(said: PlacedValue, about: str, value: str) -> Understood:
    return Understood(file=said.place.file, line=said.place.line, about=about, value=value)
