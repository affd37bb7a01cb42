"""`envdoctor compat`: what goes with what."""

from __future__ import annotations

import click

from envdoctor.cli.completions import gpus
from envdoctor.cli.output import echo, result_to
from envdoctor.errors import InputError

_HELP = """Answer what goes with what: GPU, driver, CUDA, torch, Python, torch's companions.

One subject shows what there is to know about it; two or more are answered yes or no, with the reason and the nearest
thing that works.

\b
  envdoctor compat gpu "RTX 5090"
  envdoctor compat torch 2.6
  envdoctor compat driver 535.183
  envdoctor compat cuda 12.8
  envdoctor compat vllm 0.33
  envdoctor compat nightly
  envdoctor compat torch 2.15 gpu V100 driver 570
  envdoctor compat "does torch 2.15 run on a V100 with driver 570?"

Versions newer than the tables are judged by rules, and said to be.

Exit code: 0 yes, or a single subject; 1 no, or not known; 2 a name or version that is not understood.
"""


@click.command("compat", help=_HELP)
@click.argument("question", nargs=-1, metavar="QUESTION...")
@click.option(
    "--gpu",
    multiple=True,
    metavar="NAME",
    shell_complete=gpus,
    help="GPU, as nvidia-smi, lspci or a person writes it; repeatable.",
)
@click.option("--torch", metavar="VERSION", help='torch release or requirement: 2.6, ">=2.4,<2.8".')
@click.option("--driver", metavar="VERSION", help="NVIDIA driver: 535.183.01, 580.")
@click.option("--cuda", metavar="VERSION", help="CUDA version: 12.8.")
@click.option("--python", metavar="VERSION", help="Python version: 3.13.")
@click.option("--glibc", metavar="VERSION", help="C library version: 2.31.")
@click.option(
    "--platform", metavar="NAME", help="linux_x86_64 (default), linux_aarch64, wsl, windows_amd64, macos_arm64."
)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option("--format", "fmt", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--sources",
    is_flag=True,
    help="Show where each statement comes from (JSON always does), and which tables are stale.",
)
def command(
    question: tuple[str, ...],
    gpu: tuple[str, ...],
    torch: str | None,
    driver: str | None,
    cuda: str | None,
    python: str | None,
    glibc: str | None,
    platform: str | None,
    output: str | None,
    fmt: str,
    sources: bool,
) -> int:
    import msgspec

    from envdoctor.compat import CompatQuestion, answer, parse, platform_named, wsl_named
    from envdoctor.knowledge import KnowledgeError, UnknownGpu, load

    wsl = platform is not None and wsl_named(platform)
    if platform is not None:
        platform = platform_named(platform) or platform
    given = {"torch": torch, "driver": driver, "cuda": cuda, "python": python, "glibc": glibc, "platform": platform}
    options = {name: value for name, value in given.items() if value is not None}
    try:
        asked = parse(question) if question or not (options or gpu) else CompatQuestion()
        if clash := [name for name in options if getattr(asked, name) not in (None, options[name])]:
            raise InputError(f"{clash[0]} is asked about twice, in words and as --{clash[0]}")
        asked = msgspec.structs.replace(asked, gpus=(*asked.gpus, *gpu), wsl=asked.wsl or wsl, **options).checked()
        found = answer(load(), asked)
    except UnknownGpu as error:
        asking = (
            "" if error.suggestions or error.other_maker else ' Ask like this: gpu "RTX 5090", torch 2.6 driver 535'
        )
        raise InputError(f"{error}{asking}") from None
    except KnowledgeError as error:
        raise InputError(str(error)) from None
    with result_to(output):
        if fmt == "json":
            echo(msgspec.json.format(msgspec.json.encode(found.as_json()), indent=2).decode())
        else:
            from datetime import datetime, timezone

            from envdoctor.console import Console
            from envdoctor.report.plan.compat import print_answer

            today = datetime.now(timezone.utc).date()
            stale = [age for age in load().tables() if age.stale(today)] if sources else []
            print_answer(Console(highlight=False), found, sources=sources, stale=stale)
    return 0 if found.answer in (None, "yes") else 1
