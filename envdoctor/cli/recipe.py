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

TARGET is `plan`, `unlock` (what a newer driver would buy) or a recipe: `envdoctor recipe --list` names them, `envdoctor recipe
TARGET --help` shows what one uses. It is for this machine, or the one described with --gpu, --driver, --os, --arch.

\b
  envdoctor recipe plan
  envdoctor recipe plan --gpu "RTX 5090" --gpu "RTX 3090" --driver 570 --os ubuntu24.04
  envdoctor recipe unlock --gpu V100 --driver 470
  envdoctor recipe docker --gpu H100 --driver 580 -o .
  envdoctor recipe venv --apply .venv

Exit code: 0 there is a plan; 1 there is none, and the smallest change that gives one is said; 2 wrong usage or input.
"""

# These carry the stack into an image, whose C library and Python are its own.
CONTAINERS = ("docker", "compose", "devcontainer", "kubernetes", "apptainer")
PLANS = {
    "plan": "What goes with what on this machine or one described, and why.",
    "unlock": "What a newer driver, or another change, would buy.",
}


def _listed() -> dict[str, str]:
    """What TARGET may be, and what it is."""
    from envdoctor.rendering.catalogue import RECIPES

    return {**PLANS, **{name: summary for name, (_, summary) in RECIPES.items()}}


OF_ONE = {"hashes": ("requirements",), "environment": ("venv",), "style": tuple(PLANS)}
"""Options that only these targets use."""


class RecipeCommand(click.Command):
    """`recipe TARGET --help` shows what that target uses, `recipe --help` what all use and which options are of one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[__name__] = next((word for word in args if word in _listed()), None)
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, f"{ctx.meta.get(__name__) or 'TARGET'} [OPTIONS]")

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        target = ctx.meta.get(__name__)
        if target is None:
            super().format_help_text(ctx, formatter)
            return
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_listed()[target])
            formatter.write_paragraph()
            for example in _examples(target):
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        target = ctx.meta.get(__name__)
        records = [
            record
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option) and (target is None or _used(parameter.name or "", target))
            if (record := parameter.get_help_record(ctx)) is not None
        ]
        with formatter.section("Options"):
            formatter.write_dl(records)


def _used(option: str, target: str) -> bool:
    if option in ("show_list", "target") or (option in ("folder", "force") and target in PLANS):
        return False
    if option == "container":  # those that make an image plan for one anyway
        return target not in CONTAINERS
    return target in OF_ONE.get(option, (target,))


def _examples(target: str) -> tuple[str, ...]:
    described = f'envdoctor recipe {target} --gpu "RTX 5090" --driver 580 --os ubuntu24.04'
    if target in PLANS:
        return (f"envdoctor recipe {target}", described, f"envdoctor recipe {target} --format json")
    made = (f"envdoctor recipe {target} --apply .venv",) if target == "venv" else ()
    return (f"envdoctor recipe {target} -o DIR", described, *made)


@click.command("recipe", cls=RecipeCommand, help=_HELP, no_args_is_help=True)
@click.argument("target", required=False, metavar="TARGET", shell_complete=completer(_listed))
@click.option("--list", "show_list", is_flag=True, help="List the recipes and stop.")
@click.option(
    "--gpu",
    "gpus",
    multiple=True,
    metavar="NAME",
    shell_complete=gpu_names,
    help="'RTX 5090', '8x H100', sm_90, none; repeats.",
)
@click.option("--driver", metavar="VERSION", help="The driver there: 580, 570.86.15, none.")
@click.option("--os", "system", metavar="NAME", help="ubuntu24.04, rhel9, windows, wsl, ...")
@click.option("--arch", metavar="NAME", help="x86_64 or aarch64.")
@click.option("--from", "source", metavar="FILE", help="The machine's snapshot or dump; - is stdin.")
@click.option("--python", metavar="VERSION", help="Insist on this Python: 3.12, 3.13t.")
@click.option("--torch", metavar="SPEC", help="Insist on it: 2.6, '>=2.6', 2.6.0+cu124.")
@click.option("--cuda", metavar="VERSION", help="Insist on builds with it: 12.8, 12, cpu.")
@click.option(
    "--purpose",
    type=click.Choice(["run", "train", "build-extensions"]),
    default="run",
    metavar="USE",
    help="run, train, build-extensions (with nvcc).",
)
@click.option(
    "--with",
    "packages",
    multiple=True,
    metavar="PKG",
    help="A requirement of yours, checked; repeats.",
)
@click.option("--hashes", is_flag=True, help="requirements: with digests; asks the index.")
@click.option("--container", is_flag=True, help="For inside an image, whose C library counts.")
@click.option("-o", "--output", "folder", metavar="DIR", help="Write the files there, and print none.")
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
@click.option("--apply", "environment", metavar="DIR", help="venv: make it now, in DIR, and verify it.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Of plan, unlock.",
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
