"""The options that describe a machine in words; `planning.target.describe` takes what they hold."""

from __future__ import annotations

import click

from envdoctor.cli.completions import gpus

gpu = click.option(
    "--gpu",
    "gpus",
    multiple=True,
    metavar="NAME",
    shell_complete=gpus,
    help="'RTX 5090', '8x H100', sm_90, none; repeats.",
)
driver = click.option("--driver", metavar="VERSION", help="The driver there: 580, 570.86.15, none.")
