"""A dev container: the image of recipe docker with git and an environment that its user may change; with nvcc where
extensions are built."""

from __future__ import annotations

import msgspec

from envdoctor.planning.model import Stack
from envdoctor.rendering.containers import docker_arguments, proof, service_name
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.pip import building_environment
from envdoctor.rendering.targets.docker import dockerfile
from envdoctor.rendering.templates import fill

_TOOLS = ("ca-certificates", "git", "less", "openssh-client", "procps")
_COMPILERS = ("build-essential", "ninja-build")


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """.devcontainer/devcontainer.json and .devcontainer/Dockerfile."""
    tools: tuple[str, ...] = _TOOLS
    if stack.build_image is not None:  # one works here with the compilers: no second stage that lacks them
        stack = msgspec.structs.replace(
            stack, base_image=stack.build_image, build_image=None, environment=dict(building_environment(stack))
        )
        tools += _COMPILERS
    built = dockerfile(
        stack,
        options,
        what=f"The image of devcontainer.json: torch {stack.torch} ({stack.channel}).",
        run=("Dev Containers: Rebuild and Reopen in Container",),
        recipe="devcontainer",
        tools=tools,
        # Whatever UID the editor gives the user on your machine, `pip install` works.
        umask="000",
    )
    text = fill(
        "devcontainer/devcontainer.json.j2",
        stack,
        options,
        what=f"A dev container with torch {stack.torch} ({stack.channel}).",
        run=("VS Code: Dev Containers: Reopen in Container", "devcontainer up --workspace-folder ."),
        name=service_name(options),
        proof=proof(stack),
        run_arguments=(*docker_arguments(stack, options), "--ulimit=memlock=-1"),
    )
    return (
        RenderedFile(".devcontainer/devcontainer.json", text),
        RenderedFile(".devcontainer/Dockerfile", built.text),
    )
