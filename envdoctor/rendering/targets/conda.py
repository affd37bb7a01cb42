"""An environment for conda and its kin: conda-forge's own torch where it carries out the plan, pip's inside conda where not."""

from __future__ import annotations

from typing import Any

from envdoctor.planning.model import Stack
from envdoctor.rendering.conda_choice import carried_out, choose, pip_section, toolkit_packages
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.pip import building_environment
from envdoctor.rendering.requirements import checked
from envdoctor.rendering.templates import fill


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """environment.yml with conda.sh, which makes and proves it; for Windows with verify.py."""
    choice = choose(stack)
    build = choice.build
    built = checked(stack.packages) if stack.purpose == "build-extensions" else ()
    windows = stack.platform.startswith("windows")
    run: tuple[str, ...] = ("conda env create -f environment.yml",)
    if windows:
        inside = f"conda run -n {options.name} python"
        run += (*(f"{inside} -m pip install --no-build-isolation {name}" for name in built), f"{inside} verify.py")
    else:
        run = ("bash conda.sh [NAME]", *(() if built else (f"or: {run[0]}",)))
    if build is not None and build.cuda is not None:
        run += (f"Without a driver: CONDA_OVERRIDE_CUDA={build.cuda} EXPECT_GPU=0 {run[0]}",)
    toolkit, packages = toolkit_packages(stack)
    done = carried_out(stack, choice)
    more: dict[str, Any] = {
        "choice": choice,
        "release": stack.python.removesuffix("t"),
        "free_threaded": stack.python.endswith("t"),
        "toolkit": toolkit,
        "toolkit_packages": packages,
        "pip": pip_section(stack, choice),
        "built": built,
        # torch finds the toolkit that lies in the environment by its nvcc.
        "environment": tuple((k, v) for k, v in building_environment(stack) if not (toolkit and k == "CUDA_HOME")),
    }
    what = f"An environment with torch {stack.torch}, from {'pip' if build is None else 'conda-forge'}."
    files = [
        RenderedFile("environment.yml", fill("conda/environment.yml.j2", done, options, what=what, run=run, **more))
    ]
    if windows:
        proof = fill(
            "_shared/verify_file.py.j2", done, options, recipe="conda", what="Proves the environment.", run=run[-1:]
        )
        files.append(RenderedFile("verify.py", proof))
    else:
        what = "Makes and proves what environment.yml describes."
        script = fill("conda/conda.sh.j2", done, options, what=what, run=run[:1], **more)
        files.append(RenderedFile("conda.sh", script, executable=True))
    return tuple(files)
