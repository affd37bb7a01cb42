"""`envdoctor snapshot`."""

from __future__ import annotations

from pathlib import Path

import click

from envdoctor.cli.gathering import gather
from envdoctor.cli.output import echo


@click.command("snapshot")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE instead of standard output.")
@click.option(
    "--python", metavar="PATH", help="The Python to look into: an executable, a command or an environment's folder."
)
@click.option(
    "--from", "source", metavar="FILE", help="Read a snapshot or a dump instead of this machine; - reads stdin."
)
@click.option("--fast", is_flag=True, help="Do not import torch.")
@click.option(
    "--no-redact", is_flag=True, help="Keep names, addresses, serial numbers and all of the environment's values."
)
@click.option("--force", is_flag=True, help="Overwrite FILE if it exists.")
def command(
    output: str | None, python: str | None, source: str | None, fast: bool, no_redact: bool, force: bool
) -> int:
    """Write the facts of this machine to a file, for somebody else to judge with `envdoctor check --from FILE`.

    User and host names, home folders, serial numbers, UUIDs, addresses and unlisted environment variables are replaced,
    unless --no-redact is given. Look at the file before you share it.
    """
    import msgspec

    from envdoctor.errors import InputError

    target = Path(output) if output else None
    if target is not None and target.exists() and not force:
        raise InputError(f"{output} exists; --force overwrites it")
    snapshot = gather(python=python, source=source, live=not fast)
    if not no_redact:
        from envdoctor.facts.redaction import redact

        snapshot = redact(snapshot)
    text = msgspec.json.format(msgspec.json.encode(snapshot), indent=2).decode() + "\n"
    if target is None:
        echo(text, nl=False)
        return 0
    from envdoctor.files import write_atomically

    write_atomically(target, text)
    echo(
        f"Wrote {output} ({'as it is' if no_redact else 'redacted'}). Judge it with: envdoctor check --from {output}",
        err=True,
    )
    return 0
