"""`envdoctor recipe`: the newest stack that really works, and the files that make it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from envdoctor.cli.completions import completer
from envdoctor.cli.completions import gpus as gpu_names
from envdoctor.cli.gathering import gather
from envdoctor.cli.output import echo

if TYPE_CHECKING:
    from envdoctor.console import Console
    from envdoctor.planning.model import Plan, Target, Wishes

_HELP = """Plan the newest PyTorch stack that really works, and write it in the form that people use.

TARGET is `plan` (what goes with what, and why), `unlock` (what a newer driver or another change would buy), or a recipe:
`envdoctor recipe --list` names them. Without a description it is for this machine; with --gpu, --driver, --os or --arch for
the machine described, which needs neither a GPU nor torch nor a network here.

\b
  envdoctor recipe plan
  envdoctor recipe plan --gpu "RTX 5090" --gpu "RTX 3090" --driver 570 --os ubuntu24.04
  envdoctor recipe unlock --gpu V100 --driver 470
  envdoctor recipe docker --gpu H100 --driver 580 -o .
  envdoctor recipe requirements --os windows > requirements.txt
  envdoctor recipe uv --from snapshot.json -o project/
  envdoctor recipe venv --apply .venv

Exit code: 0 there is a plan; 1 there is none, and the smallest change that gives one is said; 2 wrong usage or input.
"""

# These carry the stack into an image, whose C library and Python are its own.
CONTAINERS = ("docker", "compose", "devcontainer", "kubernetes", "apptainer")
PLANS = {
    "plan": "What goes with what on this machine or one described, and why.",
    "unlock": "What a newer driver, or another change, would buy.",
}


@click.command("recipe", help=_HELP, no_args_is_help=True)
@click.argument("target", required=False, metavar="TARGET", shell_complete=completer(lambda: _listed()))
@click.option("--list", "show_list", is_flag=True, help="List the recipes and stop.")
@click.option(
    "--gpu",
    "gpus",
    multiple=True,
    metavar="NAME",
    shell_complete=gpu_names,
    help="'RTX 5090', '8x H100', sm_90 or none; repeatable.",
)
@click.option("--driver", metavar="VERSION", help="The NVIDIA driver there: 580, 570.86.15, 572.83, none.")
@click.option("--os", "system", metavar="NAME", help="ubuntu24.04, debian12, rhel9, sles15.6, windows, wsl, macos, ...")
@click.option("--arch", metavar="NAME", help="x86_64 or aarch64.")
@click.option(
    "--from", "source", metavar="FILE", help="A snapshot or collect_env dump of the machine; - reads standard input."
)
@click.option("--python", metavar="VERSION", help="Insist on this Python: 3.12, 3.13t.")
@click.option("--torch", metavar="SPEC", help="Insist on this torch: 2.6, '>=2.6', 2.6.0+cu124.")
@click.option("--cuda", metavar="VERSION", help="Insist on builds with this CUDA: 12.8, 12, cpu.")
@click.option(
    "--purpose",
    type=click.Choice(["run", "train", "build-extensions"]),
    default="run",
    show_default=True,
    help="build-extensions brings nvcc and a compiler.",
)
@click.option(
    "--with",
    "packages",
    multiple=True,
    metavar="PKG",
    help="A requirement of your own, checked against the plan; repeatable.",
)
@click.option("--hashes", is_flag=True, help="requirements: all that is installed, with digests; asks the index.")
@click.option("--container", is_flag=True, help="Plan for an image, which brings its own C library and Python.")
@click.option("-o", "--output", "folder", metavar="DIR", help="Write the files there instead of printing them.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option("--apply", "environment", metavar="DIR", help="venv: make the environment now, in DIR, and verify it.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of plan and unlock.",
)
def command(
    target: str | None,
    show_list: bool,
    gpus: tuple[str, ...],
    driver: str | None,
    system: str | None,
    arch: str | None,
    source: str | None,
    python: str | None,
    torch: str | None,
    cuda: str | None,
    purpose: str,
    packages: tuple[str, ...],
    hashes: bool,
    container: bool,
    folder: str | None,
    force: bool,
    environment: str | None,
    style: str,
) -> int:
    if show_list:
        return _list()
    if hashes and target != "requirements":
        raise click.UsageError("--hashes goes with `recipe requirements`")
    if target is None:
        raise click.UsageError("name a recipe, `plan` or `unlock`; `envdoctor recipe --list` shows them all")
    _refuse_what_does_nothing(target, folder=folder, environment=environment, source=source, style=style)

    from envdoctor.knowledge import load
    from envdoctor.planning.planner import plan
    from envdoctor.planning.target import describe, for_image, from_snapshot
    from envdoctor.planning.wishes import checked

    world = load()
    image = container or target in CONTAINERS
    # What is wrong with the words is said before the machine is looked at.
    wishes = checked(world, torch=torch, cuda=cuda, python=python, purpose=purpose, packages=packages, container=image)
    described = bool(gpus or driver or system or arch)
    # An environment is made here, whatever else is described.
    looked_at = source is not None or not described or environment is not None
    base = from_snapshot(gather(python=None, source=source, live=False), world) if looked_at else None
    machine = describe(world, gpus=gpus, driver=driver, os=system, arch=arch, base=base)
    if image:
        machine = for_image(machine)
    if target == "unlock":
        return _unlock(machine, wishes, style)
    planned = plan(machine, wishes, world)
    if target == "plan":
        return _plan(planned, style)
    from envdoctor.cli.recipe_files import apply_plan, write_or_print

    if planned.stack is None:
        from envdoctor.report.plan.text import print_plan

        print_plan(_console(err=True), planned)
        return 1
    if environment is not None:
        return apply_plan(planned, Path(environment))
    return write_or_print(target, planned.stack, folder=folder, force=force, hashes=hashes)


def _refuse_what_does_nothing(
    target: str, *, folder: str | None, environment: str | None, source: str | None, style: str
) -> None:
    if target in PLANS:
        if folder is not None or environment is not None:
            raise click.UsageError(f"`recipe {target}` writes no files: -o and --apply go with a recipe")
        return
    from envdoctor.rendering.catalogue import RECIPES, recipe

    if target not in RECIPES:
        recipe(target)  # says which names there are
    if style == "json":
        raise click.UsageError("--format json goes with `plan` and `unlock`; a recipe is a file of its own kind")
    if environment is not None and target != "venv":
        raise click.UsageError("--apply goes with `recipe venv`: it makes a virtual environment")
    if environment is not None and source is not None:
        raise click.UsageError("--apply makes an environment for this machine: --from is about another")
    if environment is not None and folder is not None:
        raise click.UsageError("--apply makes an environment and -o writes files: one of them")


def _list() -> int:
    from envdoctor.cli.output import columns

    echo(columns(_listed().items()))
    return 0


def _listed() -> dict[str, str]:
    """What TARGET may be, and what it is."""
    from envdoctor.rendering.catalogue import RECIPES

    return {**PLANS, **{name: summary for name, (_, summary) in RECIPES.items()}}


def _console(*, err: bool = False) -> Console:
    from envdoctor.console import Console

    return Console(stderr=err, highlight=False)


def _plan(planned: Plan, style: str) -> int:
    if style == "json":
        from envdoctor.report.plan.data import plan_json

        echo(plan_json(planned))
    else:
        from envdoctor.report.plan.text import print_plan

        print_plan(_console(), planned)
    return 0 if planned.feasible else 1


def _unlock(machine: Target, wishes: Wishes, style: str) -> int:
    from envdoctor.knowledge import load
    from envdoctor.planning.unlock import unlocks

    found = unlocks(machine, wishes, load())
    if style == "json":
        from envdoctor.report.plan.data import unlock_json

        echo(unlock_json(found))
    else:
        from envdoctor.report.plan.unlock import print_unlocks

        print_unlocks(_console(), found)
    return 0 if found.plan.feasible else 1
