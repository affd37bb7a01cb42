"""The options that describe a machine in words; `planning.target.describe` takes what they hold."""

from __future__ import annotations

import click

gpu = click.option(
    "--gpu", "gpus", multiple=True, metavar="NAME", help="'RTX 5090', '8x H100', sm_90 or none; repeatable."
)
driver = click.option("--driver", metavar="VERSION", help="The NVIDIA driver there: 580, 570.86.15, 572.83, none.")
