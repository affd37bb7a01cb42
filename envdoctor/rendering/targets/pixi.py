"""A pixi workspace: conda-forge's own torch where it carries out the plan, PyPI's where not; `pixi run verify` proves it."""

from __future__ import annotations

from packaging.markers import Marker
from packaging.requirements import Requirement

from envdoctor.errors import InputError
from envdoctor.knowledge.versions import version
from envdoctor.planning.model import Stack
from envdoctor.rendering.conda_choice import CondaChoice, carried_out, choose, toolkit_packages
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.pip import building_environment
from envdoctor.rendering.requirements import parsed
from envdoctor.rendering.templates import fill, toml

# pixi's own assumption where a platform does not say (its changelog, 0.24).
_PIXI_GLIBC = "2.28"


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """pixi.toml and verify.py."""
    choice = choose(stack)
    if choice.subdir is None:
        raise InputError(f"pixi has no platform for {stack.platform}; use the recipe venv or uv")
    done = carried_out(stack, choice)
    run: tuple[str, ...] = ("pixi run verify   (installs first what is missing)",)
    if stack.cuda is not None:
        run += (f"Without a driver: CONDA_OVERRIDE_CUDA={_cuda(done)} EXPECT_GPU=0 pixi run verify",)
    toolkit, packages = toolkit_packages(stack)
    wanted = tuple(requirement for requirement in map(parsed, stack.packages) if _applies(requirement.marker, stack))
    text = fill(
        "pixi/pixi.toml.j2",
        done,
        options,
        what=f"A pixi workspace with torch {stack.torch}, from {'PyPI' if choice.build is None else 'conda-forge'}.",
        run=run,
        choice=choice,
        platform=_platform(done, choice.subdir),
        release=stack.python.removesuffix("t"),
        free_threaded=stack.python.endswith("t"),
        toolkit=toolkit,
        toolkit_packages=packages,
        pypi=_pypi(stack, choice, wanted),
        without_isolation=tuple(r.name for r in wanted) if stack.purpose == "build-extensions" else (),
        environment=tuple((k, v) for k, v in building_environment(stack) if not (toolkit and k == "CUDA_HOME")),
    )
    proof = fill("_shared/verify_file.py.j2", done, options, recipe="pixi", what="Proves the environment.", run=run[:1])
    return RenderedFile("pixi.toml", text), RenderedFile("verify.py", proof)


def _cuda(stack: Stack) -> str:
    """What the driver must be able to do, in conda's words: the first CUDA of the same major, by minor-version compatibility."""
    return f"{(stack.cuda or '').split('.')[0]}.0"


def _platform(stack: Stack, subdir: str) -> str:
    """An inline table: pixi refuses a machine whose driver or C library is older."""
    parts = [f"platform = {toml(subdir)}"]
    if stack.cuda is not None:
        parts.append(f"cuda = {toml(_cuda(stack))}")
    glibc = stack.glibc if stack.platform.startswith("linux") else None
    if glibc is not None and version(glibc) < version(_PIXI_GLIBC):
        parts.append(f"glibc = {toml(glibc)}")
    return f"{{ {', '.join(parts)} }}" if len(parts) > 1 else toml(subdir)


def _pypi(stack: Stack, choice: CondaChoice, wanted: tuple[Requirement, ...]) -> tuple[tuple[str, str], ...]:
    found = []
    if choice.build is None:
        for pin in map(parsed, stack.requirements):
            index = {"index": stack.index_url} if stack.index_url else {}
            found.append((pin.name, _table({"version": str(pin.specifier), **index})))
    return (*found, *((requirement.name, _specification(requirement)) for requirement in wanted))


def _specification(requirement: Requirement) -> str:
    extras = {"extras": sorted(requirement.extras)} if requirement.extras else {}
    if requirement.url is None:
        return _table({"version": str(requirement.specifier) or "*", **extras})
    if requirement.url.startswith("git+"):
        address, _, revision = requirement.url.removeprefix("git+").partition("#")[0].rpartition("@")
        if "/" in revision or not address:  # the @ of user@host
            address, revision = requirement.url.removeprefix("git+").partition("#")[0], ""
        return _table({"git": address, **({"rev": revision} if revision else {}), **extras})
    return _table({"url": requirement.url, **extras})


def _table(fields: dict[str, object]) -> str:
    if list(fields) == ["version"]:
        return toml(fields["version"])
    return f"{{ {', '.join(f'{name} = {toml(value)}' for name, value in fields.items())} }}"


def _applies(marker: Marker | None, stack: Stack) -> bool:
    """Whether a requirement is meant for the plan's platform; pixi has no markers, and the workspace has one platform."""
    if marker is None:
        return True
    system = stack.platform.partition("_")[0]
    return marker.evaluate(
        {
            "sys_platform": {"windows": "win32", "macos": "darwin"}.get(system, system),
            "platform_system": {"windows": "Windows", "macos": "Darwin"}.get(system, "Linux"),
            "os_name": "nt" if system == "windows" else "posix",
            "platform_machine": "AMD64" if system == "windows" else stack.arch,
            "python_version": stack.python.removesuffix("t"),
            "python_full_version": f"{stack.python.removesuffix('t')}.0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "extra": "",
        }
    )
