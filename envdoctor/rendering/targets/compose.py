"""A Compose file for the image of recipe docker: GPUs, shared memory, limits, your folder, a cache that stays."""

from __future__ import annotations

from envdoctor.planning.model import Stack
from envdoctor.rendering.containers import SHARED_MEMORY, STACK_LIMIT, image_name, platform, service_name
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.targets.docker import dockerfile, dockerignore
from envdoctor.rendering.templates import fill


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """compose.yaml, Dockerfile and .dockerignore."""
    built = dockerfile(
        stack,
        options,
        what=f"The image of compose.yaml: torch {stack.torch} ({stack.channel}).",
        run=("docker compose build",),
        recipe="compose",
    )
    text = fill(
        "compose/compose.yaml.j2",
        stack,
        options,
        what=f"A Compose service with torch {stack.torch} ({stack.channel}).",
        run=(
            "docker compose up --build                 # builds it; computes, and compares with the CPU",
            "docker compose run --rm torch python train.py",
        ),
        name=service_name(options),
        image_name=image_name(stack, options),
        platform=platform(stack),
        gpus=options.gpus,
        shared_memory=SHARED_MEMORY,
        stack_limit=STACK_LIMIT,
    )
    return RenderedFile("compose.yaml", text), built, dockerignore(stack, options)
