"""The one ordered list of recipes. To add one, write targets/NAME.py, its templates in recipes/NAME/, and its line here."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.model import Options, Recipe, RenderedFile

# name -> (the file to look at first, what it is in one line)
RECIPES: dict[str, tuple[str, str]] = {
    "venv": ("venv.sh", "A script that makes a virtual environment with pip (--apply DIR makes it now)."),
    "uv": ("pyproject.toml", "A uv project with torch's index pinned, and a script that syncs and checks it."),
    "requirements": ("requirements.txt", "Exact pins for pip, with the index they come from."),
    "conda": ("environment.yml", "An environment for conda, mamba or micromamba."),
    "pixi": ("pixi.toml", "A pixi workspace that asks for the CUDA it needs."),
    "docker": ("Dockerfile", "An image: pinned, slim, not root, refusing a host whose driver is too old."),
    "compose": ("compose.yaml", "A Compose service with the GPUs, shared memory and limits that training needs."),
    "devcontainer": (".devcontainer/devcontainer.json", "A dev container for VS Code and its kin."),
    "apptainer": ("stack.def", "An Apptainer definition for clusters without Docker."),
    "kubernetes": ("job.yaml", "A Job and a DaemonSet that prove and watch the GPU nodes of a cluster."),
    "slurm": ("check.sbatch", "Batch scripts that check and measure the GPU nodes of a cluster."),
    "github-actions": (".github/workflows/torch.yml", "A workflow that builds the environment and proves it."),
    "driver": ("driver.sh", "A script that installs the NVIDIA driver that the plan needs (as root)."),
    "toolkit": ("toolkit.sh", "A script that installs the CUDA toolkit and compiler for building extensions."),
    "ansible": ("playbook.yml", "A playbook that does all of it on many machines."),
}
# Where these recipes want envdoctor itself, as one file. All others stand by themselves.
ARCHIVES = {"slurm": "envdoctor.pyz", "ansible": "files/envdoctor.pyz"}


def recipe(name: str) -> Recipe:
    """The recipe of that name. Raises InputError for a name that is none."""
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise InputError(f"there is no recipe '{name}'.{hint} `envdoctor recipe --list` shows them all")
    primary, summary = RECIPES[name]
    module = import_module(f"envdoctor.rendering.targets.{name.replace('-', '_')}")
    return Recipe(name, summary, primary, module.render)


def render(name: str, stack: Stack, options: Options | None = None) -> tuple[RenderedFile, ...]:
    """The files of that recipe for that stack, the primary one first.

    Raises InputError for an unknown name, for packages that are no requirements, and where the recipe has no form for this
    stack (a Linux driver script for Windows).
    """
    from envdoctor.rendering.requirements import checked
    from envdoctor.rendering.safety import require_plain

    chosen = recipe(name)
    require_plain(stack)
    checked(stack.packages)
    files = chosen.render(stack, options or Options())
    return tuple(sorted(files, key=lambda file: file.path != chosen.primary))
