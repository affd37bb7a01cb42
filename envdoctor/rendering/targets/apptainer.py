"""An Apptainer definition: what the Dockerfile of recipe docker says, for clusters where nobody is root."""

from __future__ import annotations

from envdoctor.planning.model import Stack
from envdoctor.rendering.containers import UV_IMAGE, image, labels, running_environment
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.pip import building_environment
from envdoctor.rendering.requirements import checked
from envdoctor.rendering.templates import fill


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """stack.def."""
    filled = image(stack, options, "apptainer")
    nv = " --nv" if stack.on_gpu else ""
    text = fill(
        "apptainer/stack.def.j2",
        stack,
        options,
        what=f"An Apptainer image with torch {stack.torch} ({stack.channel}).",
        run=(
            "apptainer build stack.sif stack.def",
            f"apptainer run{nv} stack.sif                  # computes, and compares with the CPU",
            f"apptainer run{nv} stack.sif python train.py",
        ),
        image=filled,
        packages=checked(stack.packages),
        environment=running_environment(stack),
        building=building_environment(stack) if filled.unisolated else (),
        labels=labels(stack, options, filled.base),
        # Without its first line, which names a shell, and its last, which runs what it was given.
        guard=filled.guard[1:-1],
        # uv comes from PyPI here: a definition cannot mount another image.
        uv_needs=("python3-venv",) if filled.uv else (),
        uv_requirement=UV_IMAGE.rpartition("/")[2].replace(":", "=="),
    )
    return (RenderedFile("stack.def", text),)
