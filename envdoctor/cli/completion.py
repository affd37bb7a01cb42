"""`envdoctor completion SHELL`."""

from __future__ import annotations

import click

from envdoctor.cli.output import echo


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands, options, GPUs, codes, recipes and workloads in a shell.

    \b
      bash: eval "$(envdoctor completion bash)"                in ~/.bashrc
      zsh:  eval "$(envdoctor completion zsh)"                 in ~/.zshrc, after compinit
      fish: envdoctor completion fish > ~/.config/fish/completions/envdoctor.fish
    """
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"click completes no {shell}")
    # Not source(): of bash it asks the version by running it, where the script may be written for another machine.
    script = made(ctx.find_root().command, {}, "envdoctor", "_ENVDOCTOR_COMPLETE")
    echo(script.source_template % script.source_vars())
