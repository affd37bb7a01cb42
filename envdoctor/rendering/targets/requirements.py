"""Exact pins for pip. Torch's index stands alone in its file; packages that PyPI serves follow in a second one."""

from __future__ import annotations

from envdoctor.planning.model import Stack
from envdoctor.rendering.hashes import locked
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.requirements import checked
from envdoctor.rendering.templates import fill


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """requirements.txt, and requirements-packages.txt where the packages come from another index, or are built against torch."""
    packages = checked(stack.packages)
    building = stack.purpose == "build-extensions"
    apart = bool(packages and (stack.index_url or building))
    install = "python -m pip install"
    # Extensions compile against the torch that is installed: no isolated build with another one.
    second = f"{install} {'--no-build-isolation ' if building else ''}-r requirements-packages.txt"
    checks = "--require-hashes " if options.hashes else ""
    run = (f"{install} {checks}-r requirements.txt", second) if apart else (f"{install} {checks}-r requirements.txt",)
    what = f"torch {stack.torch} ({stack.channel}) for pip."
    verify = ("Then `envdoctor check --python python` proves it.",)
    main = fill(
        "requirements/requirements.txt.j2",
        stack,
        options,
        what=what,
        run=(*run, *verify),
        packages=() if apart else packages,
        locked=locked(stack, () if apart else packages) if options.hashes else (),
    )
    files = [RenderedFile("requirements.txt", main)]
    if apart:
        rest = fill(
            "requirements/requirements-packages.txt.j2",
            stack,
            options,
            what="What goes with it, from PyPI; install requirements.txt first.",
            run=(*run, *verify),
            packages=packages,
            building=building,
        )
        files.append(RenderedFile("requirements-packages.txt", rest))
    return tuple(files)
