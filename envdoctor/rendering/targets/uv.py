"""A uv project: torch from the index that the plan names, the rest from PyPI, and a script that syncs and proves it."""

from __future__ import annotations

from envdoctor.planning.model import Stack
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.pip import building_environment
from envdoctor.rendering.requirements import checked, name_of
from envdoctor.rendering.templates import fill

# The marker's words for the knowledge base's platforms.
_MARKERS = {
    "linux_x86_64": "sys_platform == 'linux' and platform_machine == 'x86_64'",
    "linux_aarch64": "sys_platform == 'linux' and platform_machine == 'aarch64'",
    "windows_amd64": "sys_platform == 'win32'",
    "macos_arm64": "sys_platform == 'darwin' and platform_machine == 'arm64'",
    "macos_x86_64": "sys_platform == 'darwin' and platform_machine == 'x86_64'",
}


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """pyproject.toml, .python-version and uv.sh (for Windows: uv.ps1)."""
    script = "uv.ps1" if stack.platform.startswith("windows") else "uv.sh"
    run = f"powershell -ExecutionPolicy Bypass -File {script}" if script.endswith("ps1") else f"bash {script}"
    packages = checked(stack.packages)
    project = fill(
        "uv/pyproject.toml.j2",
        stack,
        options,
        what=f"A uv project with torch {stack.torch} ({stack.channel}).",
        run=(f"{run}   (or: uv sync)",),
        release=stack.python.removesuffix("t"),
        marker=_MARKERS.get(stack.platform),
        packages=packages,
        # Every one of them depends on torch's own ABI: from another index it would not load.
        indexed=tuple(name_of(requirement) for requirement in stack.requirements) if stack.index_url else (),
        without_isolation=tuple(name_of(package) for package in packages)
        if stack.purpose == "build-extensions"
        else (),
    )
    text = fill(
        f"uv/{script}.j2",
        stack,
        options,
        what=f"Makes and proves the environment that pyproject.toml describes: torch {stack.torch} ({stack.channel}).",
        run=(run,),
        environment=building_environment(stack),
    )
    version = RenderedFile(".python-version", f"{stack.python}\n")
    return (
        RenderedFile("pyproject.toml", project),
        version,
        RenderedFile(script, text, executable=script.endswith("sh")),
    )
