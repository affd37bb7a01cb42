"""`envdoctor help [COMMAND...]`."""

from __future__ import annotations

import click

from envdoctor.cli.output import echo


@click.command("help")
@click.argument("words", nargs=-1, metavar="[COMMAND]...")
@click.pass_context
def command(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show the help of a command: `envdoctor help bench compare`; without one, of envdoctor."""
    context = ctx.find_root()
    for word in words:
        # A group says itself, with the nearest name, what it does not have; `recipe docker` is a command's argument.
        if not isinstance(context.command, click.Group):
            break
        name, found, _ = context.command.resolve_command(context, [word])
        if found is not None:
            context = click.Context(found, info_name=name, parent=context)
    echo(context.command.get_help(context))
