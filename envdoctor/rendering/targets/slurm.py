"""Batch scripts for Slurm: check and bench the GPU nodes, and train on several of them with torchrun."""

from __future__ import annotations

import re

from envdoctor.errors import InputError
from envdoctor.planning.model import Stack
from envdoctor.rendering.model import Options, RenderedFile
from envdoctor.rendering.templates import fill

# Cores for each GPU's data loading, where nobody says how many there are.
_CORES_PER_GPU = 8
# Fewer than three launches give no interval to compare by.
_REPEATS = 3
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def render(stack: Stack, options: Options) -> tuple[RenderedFile, ...]:
    """check.sbatch, check-all.sh, bench.sbatch, train.sbatch. Raises InputError where the plan has no GPU or is not for Linux."""
    if not stack.platform.startswith("linux"):
        raise InputError("'slurm' is for Linux clusters")
    if not stack.gpus:
        raise InputError("'slurm' is for GPU nodes, and the plan has no GPU; name them: --gpu \"8x H100\"")
    # #SBATCH lines know no quotes.
    if not _NAME.fullmatch(options.name):
        raise InputError(f"{options.name!r} cannot name a Slurm job; use letters, digits, '.', '_' and '-'")
    gpus = int(options.gpus) if options.gpus.isdecimal() else len(stack.gpus)
    what = {
        "check.sbatch": (
            "Checks GPU nodes of a Slurm cluster, and gathers their snapshots.",
            (
                "sbatch check.sbatch; sbatch --nodes=4 check.sbatch; bash check-all.sh",
                "the snapshots are in snapshots/, and one a line in snapshots.jsonl",
            ),
        ),
        "check-all.sh": (
            "Submits check.sbatch for each GPU node of the cluster.",
            (
                "bash check-all.sh [--partition=gpu]",
                "the snapshots are in snapshots/, and one a line in snapshots.jsonl",
            ),
        ),
        "bench.sbatch": ("Measures a GPU node, several times over.", ("sbatch [--nodelist=NODE] bench.sbatch",)),
        "train.sbatch": (
            "Trains on the GPUs of one or several nodes with torchrun.",
            ("sbatch [--nodes=N] train.sbatch SCRIPT.py [ARGUMENTS]",),
        ),
    }
    return tuple(
        RenderedFile(
            name,
            fill(
                f"slurm/{name}.j2",
                stack,
                options,
                what=sentence,
                run=run,
                gpus=gpus,
                cpus=options.cpus or gpus * _CORES_PER_GPU,
                repeats=_REPEATS,
            ),
            executable=name.endswith(".sh"),
        )
        for name, (sentence, run) in what.items()
    )
