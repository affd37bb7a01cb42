"""A script that makes a virtual environment with pip: bash, and PowerShell where the plan is for Windows."""

from __future__ import annotations

from envdoctor.planning.model import Stack
from envdoctor.rendering.interpreter import python_wanted
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.pip import building_environment, pip_arguments
from envdoctor.rendering.requirements import checked
from envdoctor.rendering.templates import fill


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """venv.sh, or venv.ps1 for Windows."""
    windows = stack.platform.startswith("windows")
    name = "venv.ps1" if windows else "venv.sh"
    text = fill(
        f"venv/{name}.j2",
        stack,
        options,
        what=f"A virtual environment with torch {stack.torch} ({stack.channel}), made by pip.",
        run=(
            f"powershell -ExecutionPolicy Bypass -File {name} [FOLDER]" if windows else f"bash {name} [FOLDER]",
            f"FOLDER is {options.environment} by default. Run it again as often as you like.",
        ),
        python=python_wanted(stack),
        pip_arguments=pip_arguments(stack),
        packages=checked(stack.packages),
        environment=building_environment(stack),
    )
    return (RenderedFile(name, text, executable=not windows),)
