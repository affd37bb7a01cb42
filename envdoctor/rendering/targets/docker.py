"""A Dockerfile: the plan's wheels on a slim base; where extensions are built, in a stage of nvidia/cuda first."""

from __future__ import annotations

from envdoctor.planning.model import Stack
from envdoctor.rendering.containers import docker_arguments, image, image_name, platform
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.requirements import checked
from envdoctor.rendering.templates import fill, sh


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """Dockerfile and .dockerignore."""
    name = image_name(stack, options)
    run = sh(("docker", "run", "--rm", "--init", *docker_arguments(stack, options), name))
    return (
        dockerfile(
            stack,
            options,
            what=f"An image with torch {stack.torch} ({stack.channel}).",
            run=(
                f"docker build --platform {platform(stack)} -t {name} .",
                f"{run}   # computes, and compares with the CPU",
                f"{run} python train.py",
            ),
        ),
        dockerignore(stack, options),
    )


def dockerfile(
    stack: Stack,
    options: Options,
    *,
    what: str,
    run: tuple[str, ...],
    recipe: str = "docker",
    tools: tuple[str, ...] = (),
    umask: str | None = None,
) -> RenderedFile:
    """The Dockerfile alone, for the recipes that build on it. `recipe`: theirs; `tools`, `umask`: see `image`."""
    text = fill(
        f"{recipe}/Dockerfile.j2",
        stack,
        options,
        what=what,
        run=run,
        image=image(stack, options, recipe, tools=tools, umask=umask),
        packages=checked(stack.packages),
    )
    return RenderedFile("Dockerfile", text)


def dockerignore(stack: Stack, options: Options) -> RenderedFile:
    """What is not sent to the builder."""
    what = "What Docker leaves out when it sends this folder to the builder."
    return RenderedFile(".dockerignore", fill("docker/dockerignore.j2", stack, options, what=what))
